"""An admission webhook under test: it gives every new pod of a namespace a label. It runs on the client."""

import base64
import json
import ssl
import subprocess
import sys
import tempfile
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import wellhead

HOST, PORT = "198.51.100.79", 9443


class Webhook(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        patch = [{"op": "add", "path": "/metadata/labels", "value": {"seen-by": "our-webhook"}}]
        encoded = base64.b64encode(json.dumps(patch).encode()).decode()
        answer = {
            "uid": review["request"]["uid"],
            "allowed": True,
            "patchType": "JSONPatch",
            "patch": encoded,
        }
        body = json.dumps({**review, "response": answer}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def serve(directory: str) -> None:
    server = HTTPServer((HOST, PORT), Webhook)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(f"{directory}/cert.pem", f"{directory}/key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    print("ready", flush=True)
    server.serve_forever()


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as directory,
        wellhead.Cluster(nodes=1) as cluster,
        cluster.namespace("webhook") as shop,
    ):
        make_certificate = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1"
        make_certificate += (
            f" -subj /CN=webhook -addext subjectAltName=IP:{HOST} -keyout key.pem -out cert.pem"
        )
        subprocess.run(make_certificate.split(), cwd=directory, check=True, capture_output=True)
        authority = base64.b64encode(Path(directory, "cert.pem").read_bytes()).decode()
        configuration = {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": shop.name},
            "webhooks": [
                {
                    "name": "labels.example.com",
                    "clientConfig": {"url": f"https://{HOST}:{PORT}/", "caBundle": authority},
                    "rules": [
                        {
                            "operations": ["CREATE"],
                            "apiGroups": [""],
                            "apiVersions": ["v1"],
                            "resources": ["pods"],
                        }
                    ],
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": shop.name}},
                    "admissionReviewVersions": ["v1"],
                    "sideEffects": "None",
                }
            ],
        }
        with cluster.client.running(sys.executable, __file__, "serve", directory, ready="ready"):
            cluster.apply(configuration)
            try:
                shop.kubectl("run", "guest", "--image=busybox", "--", "sleep", "3600")
                print(shop.kubectl("get", "pod", "guest", "--show-labels"))
                assert shop.get("pod", "guest")["metadata"]["labels"] == {"seen-by": "our-webhook"}
            finally:
                cluster.kubectl("delete", "mutatingwebhookconfiguration", shop.name)


if __name__ == "__main__":
    serve(sys.argv[2]) if sys.argv[1:2] == ["serve"] else main()
