"""A server that speaks as much of Amazon S3 and of Google Cloud Storage as TensorStore's drivers ask for."""

import contextlib
import functools
import hashlib
import http.server
import json
import os
import re
import sys
import threading
import urllib.parse
from xml.sax.saxutils import escape


class Handler(http.server.BaseHTTPRequestHandler):
    """One request. The values of `server.objects` are `(data, generation)` by `bucket/name`."""

    protocol_version = 'HTTP/1.1'
    wbufsize = -1  # an answer in one packet

    def do(self):
        url = urllib.parse.urlsplit(self.path)
        self.body = self.rfile.read(int(self.headers.get('content-length') or 0))
        self.query = dict(urllib.parse.parse_qsl(url.query))
        path = urllib.parse.unquote(url.path)
        self.server.requests.append((self.command, path))
        with self.server.mutex, contextlib.suppress(ConnectionError):
            if gcs := re.fullmatch(r'/(?:upload/)?storage/v1/b/([^/]+)/o/?(.*)', path, re.DOTALL):
                self.google(gcs[1], gcs[2] or self.query.get('name', ''))
            else:
                self.amazon(path.lstrip('/'))

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do

    def handle_expect_100(self):
        self.wfile.write(b'HTTP/1.1 100 Continue\r\n\r\n')
        self.wfile.flush()
        return True

    def google(self, bucket, name):
        key = f'{bucket}/{name}'
        data, generation = self.server.objects.get(key, (None, 0))
        if self.command == 'GET' and not name:
            first, end = self.query.get('startOffset', ''), self.query.get('endOffset', '\U0010ffff')
            names = (k.partition('/')[2] for k in sorted(self.server.objects) if k.startswith(f'{bucket}/'))
            items = [self.metadata(bucket, n) for n in names if first <= n < end]
            self.answer(200, json.dumps({'items': items}).encode())
        elif self.query.get('ifGenerationMatch', str(generation)) != str(generation):
            self.answer(412)
        elif self.command == 'POST':
            self.server.put(key, self.body)
            self.answer(200, json.dumps(self.metadata(bucket, name)).encode())
        elif self.command == 'DELETE':
            self.answer(204 if self.server.objects.pop(key, None) else 404)
        else:
            self.get(data, {'x-goog-generation': str(generation)})

    def metadata(self, bucket, name):
        data, generation = self.server.objects[f'{bucket}/{name}']
        return {'name': name, 'bucket': bucket, 'generation': str(generation), 'size': str(len(data))}

    def amazon(self, key):
        if 'list-type' in self.query:
            return self.answer(200, self.listing(key.split('/')[0]).encode())
        data, _ = self.server.objects.get(key, (None, 0))
        tag = '' if data is None else f'"{hashlib.md5(data).hexdigest()}"'
        wanted, absent = self.headers.get('if-match'), self.headers.get('if-none-match') == '*'
        if data is None and self.command in ('GET', 'HEAD', 'DELETE'):
            return self.answer(404)
        if (wanted is not None and wanted.strip('"') != tag.strip('"')) or (absent and data is not None):
            return self.answer(412)
        if self.command == 'PUT':
            self.server.put(key, self.body)
            return self.answer(200, headers={'etag': f'"{hashlib.md5(self.body).hexdigest()}"'})
        if self.command == 'DELETE':
            self.server.objects.pop(key)
            return self.answer(204)
        return self.get(data, {'etag': tag})

    def listing(self, bucket):
        prefix = f'{bucket}/{self.query.get("prefix", "")}'
        found = [(k.partition('/')[2], len(v)) for k, (v, _) in self.server.objects.items() if k.startswith(prefix)]
        contents = ''.join(
            f'<Contents><Key>{escape(name)}</Key><Size>{size}</Size><ETag>"x"</ETag>'
            '<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>'
            for name, size in found
        )
        return (
            '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f'<KeyCount>{len(found)}</KeyCount><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>'
        )

    def get(self, data, headers):
        if data is None:
            return self.answer(404)
        if asked := re.fullmatch(r'bytes=(\d+)-(\d+)', self.headers.get('range', '')):
            first, last = int(asked[1]), min(int(asked[2]), len(data) - 1)
            if first >= len(data):
                return self.answer(416)
            headers = {**headers, 'content-range': f'bytes {first}-{last}/{len(data)}'}
            return self.answer(206, data[first : last + 1], headers)
        return self.answer(200, data, headers)

    def answer(self, status, body=b'', headers=None):
        self.send_response(status)
        for name, value in {**(headers or {}), 'content-length': str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != 'HEAD':
            self.wfile.write(body)

    def log_request(self, *_):
        pass


class Buckets(http.server.ThreadingHTTPServer):
    """The server, on a port of its own, from the moment it is made."""

    daemon_threads = True

    def __init__(self):
        super().__init__(('127.0.0.1', 0), Handler)
        self.objects, self.requests, self.mutex, self.generation = {}, [], threading.Lock(), 0
        self.url = f'http://127.0.0.1:{self.server_port}'
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        if not isinstance(sys.exception(), ConnectionError):  # a client may be killed
            super().handle_error(request, client_address)

    def put(self, key, data):
        self.generation += 1
        self.objects[key] = data, self.generation


@functools.cache
def serve():
    """The one server of this process, at which TensorStore's drivers look from now on; they ask once where it is."""
    buckets = Buckets()
    os.environ |= {'TENSORSTORE_GCS_HTTP_URL': buckets.url, 'GOOGLE_AUTH_TOKEN_FOR_TESTING': 'token'}
    os.environ |= {'AWS_ACCESS_KEY_ID': 'id', 'AWS_SECRET_ACCESS_KEY': 'key', 'AWS_ENDPOINT_URL_S3': buckets.url}
    os.environ['TENSORSTORE_S3_USE_CONDITIONAL_WRITE'] = '1'  # as for Amazon's own
    return buckets
