"""What holds for every test: the CPU backend with four simulated devices, and repeatable property tests."""

import os

os.environ.setdefault('JAX_PLATFORMS', 'cpu')

import hypothesis
import jax

# Most of the suite's time is compiling; without optimizations it takes a third. Tests compare programs of one build.
_QUICK_COMPILE = '--xla_backend_optimization_level=0'
if jax.__version_info__ < (0, 11):  # flags that a later compiler may not know, and would refuse
    _QUICK_COMPILE += ' --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1'
os.environ.setdefault('XLA_FLAGS', _QUICK_COMPILE)

# Before the backend starts. Tests that need fewer devices build a mesh of `jax.devices()[:n]`.
jax.config.update('jax_num_cpu_devices', 4)
jax.config.update('jax_traceback_in_locations_limit', 0)  # nobody looks for them in a test, and they cost time

_COMMON = {'deadline': None, 'suppress_health_check': [hypothesis.HealthCheck.too_slow], 'print_blob': True}
hypothesis.settings.register_profile('ci', derandomize=True, max_examples=30, **_COMMON)
hypothesis.settings.register_profile('fuzz', max_examples=2000, **_COMMON)
hypothesis.settings.load_profile(os.environ.get('HYPOTHESIS_PROFILE', 'ci'))
