"""What holds for every test: the CPU backend with four simulated devices, and repeatable property tests."""

import os

os.environ.setdefault('JAX_PLATFORMS', 'cpu')
# Most of the suite's time is compiling. Level 1 takes a quarter of it and gives the same bits as the default.
os.environ.setdefault('XLA_FLAGS', '--xla_backend_optimization_level=1')

import hypothesis
import jax

# Before the backend starts. Tests that need fewer devices build a mesh of `jax.devices()[:n]`.
jax.config.update('jax_num_cpu_devices', 4)

_COMMON = {'deadline': None, 'suppress_health_check': [hypothesis.HealthCheck.too_slow], 'print_blob': True}
hypothesis.settings.register_profile('ci', derandomize=True, max_examples=50, **_COMMON)
hypothesis.settings.register_profile('fuzz', max_examples=2000, **_COMMON)
hypothesis.settings.load_profile(os.environ.get('HYPOTHESIS_PROFILE', 'ci'))
