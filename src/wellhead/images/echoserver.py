"""The image `k8s.gcr.io/echoserver:1.4`: a real nginx that answers with what it knows of a request.

The original (kubernetes/contrib, ingress/echoheaders 1.4) is nginx with a Lua program; this is nginx with a
JavaScript program (njs), from Debian's packages, that answers in the same format. busybox is there as well,
so that `kubectl exec` finds a shell. Port 8080 is the original's; 8081 expects the PROXY protocol (v1 or v2)
before the request, and shows as client_address what that says.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from wellhead.images import busybox, packages, recipe
from wellhead.images.store import Config

_MODULE = "/usr/lib/nginx/modules/ngx_http_js_module.so"
_NGINX = "/usr/sbin/nginx"

_CONF = """\
daemon off;
user nobody nogroup;
worker_processes 1;
pid /tmp/nginx.pid;
error_log stderr warn;
load_module %(module)s;

events {
    worker_connections 1024;
}

http {
    access_log /dev/stdout;
    client_body_temp_path /tmp/body;
    proxy_temp_path /tmp/proxy;
    fastcgi_temp_path /tmp/fastcgi;
    uwsgi_temp_path /tmp/uwsgi;
    scgi_temp_path /tmp/scgi;
    client_max_body_size 1m;
    client_body_buffer_size 1m;  # the program sees a body only while it is in memory
    server_tokens off;
    default_type text/plain;
    js_import echo from /etc/nginx/echo.js;

    server {
        listen 8080 backlog=1024;
        listen 8081 proxy_protocol backlog=1024;
        %(listen)s
        underscores_in_headers on;
        real_ip_header proxy_protocol;  # on the port without it there is none, so nothing is replaced
        set_real_ip_from 0.0.0.0/0;
        set_real_ip_from ::/0;

        location / {
            js_content echo.answer;
        }
    }
}
"""

_LISTEN_IPV6 = """\
listen [::]:8080 ipv6only=on backlog=1024;
        listen [::]:8081 proxy_protocol ipv6only=on backlog=1024;"""

# `query=nil` and `BODY:` with its dashes are what the original's Lua printed for nothing.
_PROGRAM = """\
function answer(r) {
    var headers = r.rawHeadersIn.map(function (pair) {
        return pair[0].toLowerCase() + '=' + pair[1];
    });
    headers.sort();
    var v = r.variables;
    var host = v.host.indexOf(':') < 0 || v.host[0] === '[' ? v.host : '[' + v.host + ']';
    var lines = [
        'CLIENT VALUES:',
        'client_address=' + r.remoteAddress,
        'command=' + r.method,
        'real path=' + v.request_uri,
        'query=' + (v.args === undefined || v.args === '' ? 'nil' : v.args),
        'request_version=' + r.httpVersion,
        'request_uri=' + v.scheme + '://' + host + ':' + v.server_port + v.request_uri,
        '',
        'SERVER VALUES:',
        'server_version=nginx: ' + v.nginx_version + ' - njs: ' + njs.version,
        '',
        'HEADERS RECEIVED:',
    ];
    var body = r.requestText;
    r.headersOut['Content-Type'] = 'text/plain';
    r.return(200, lines.concat(headers, ['BODY:', body ? body : '-no body in request-']).join('\\n'));
}

export default {answer};
"""

# Two configurations, since nginx refuses to start when it is told to listen on a family the kernel lacks.
_START = """\
#!/bin/sh
if [ -e /proc/net/if_inet6 ]; then
    exec nginx -c /etc/nginx/nginx.conf "$@"
fi
exec nginx -c /etc/nginx/nginx-ipv4.conf "$@"
"""

_FILES = {
    "/etc/nginx/nginx.conf": _CONF % {"module": _MODULE, "listen": _LISTEN_IPV6},
    "/etc/nginx/nginx-ipv4.conf": _CONF % {"module": _MODULE, "listen": ""},
    "/etc/nginx/echo.js": _PROGRAM,
    "/usr/bin/echoserver": _START,
}


def _assemble(work: Path, rootfs: Path) -> list[str]:
    tree = work / "tree"
    wanted = packages.with_libraries(["nginx", "libnginx-mod-http-js", *busybox.PACKAGES])
    used = packages.extract(packages.download(wanted, work / "archives"), tree)
    recipe.skeleton(rootfs)
    used += busybox.put(tree, rootfs, work)
    packages.copy(tree, rootfs, [_NGINX, _MODULE, *packages.libraries(tree, [_NGINX, _MODULE])])
    recipe.write(rootfs, _FILES)
    (rootfs / "usr/bin/echoserver").chmod(0o755)
    # nginx opens its compiled-in error log before it has read that it shall not.
    (rootfs / "var/log/nginx").mkdir()
    (rootfs / "var/log/nginx/error.log").symlink_to("/dev/stderr")
    _check(rootfs)
    return used


def _check(rootfs: Path) -> None:
    """Let nginx read its configuration and program, then remove the files that it made on the way."""
    packages.run("chroot", str(rootfs), _NGINX, "-t", "-q", "-c", "/etc/nginx/nginx-ipv4.conf")
    for directory in ("dev", "tmp"):
        for path in (rootfs / directory).iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()


RECIPE = recipe.Recipe(
    names=("k8s.gcr.io/echoserver:1.4",),
    config=Config(
        cmd=("/usr/bin/echoserver",),
        env=("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",),
        stop_signal="SIGQUIT",
    ),
    files=_FILES | busybox.FILES,
    assemble=_assemble,
)
