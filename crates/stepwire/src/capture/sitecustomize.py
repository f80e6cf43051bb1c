"""Leads boto3 to the stepwire node that this program was started for.

For versions that know no AWS_ENDPOINT_URL (before 1.28.0), and for operations whose model puts a
prefix in front of the host name. Found by PYTHONPATH; the machine's own sitecustomize runs as well.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys


def _wrap(module):
    endpoint = os.environ.get("STEPWIRE_ENDPOINT")
    create = module.Session.create_client

    def create_client(
        self,
        service_name,
        region_name=None,
        api_version=None,
        use_ssl=True,
        verify=None,
        endpoint_url=None,
        aws_access_key_id=None,
        aws_secret_access_key=None,
        aws_session_token=None,
        config=None,
        **more
    ):
        if endpoint_url is None and endpoint:
            try:
                from botocore.config import Config

                plain = Config(inject_host_prefix=False)
                config = plain.merge(config) if config is not None else plain
                endpoint_url = endpoint
            except Exception:
                pass
        return create(
            self,
            service_name,
            region_name,
            api_version,
            use_ssl,
            verify,
            endpoint_url,
            aws_access_key_id,
            aws_secret_access_key,
            aws_session_token,
            config,
            **more
        )

    module.Session.create_client = create_client


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name != "botocore.session":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return spec
        run = spec.loader.exec_module

        def exec_module(module):
            run(module)
            try:
                _wrap(module)
            except Exception:
                pass

        spec.loader.exec_module = exec_module
        return spec


def _run_the_machines_own():
    here = os.path.dirname(os.path.abspath(__file__))
    path = [p for p in sys.path if os.path.abspath(p or ".") != here]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", path)
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)


try:
    if os.environ.get("STEPWIRE_ENDPOINT"):
        sys.meta_path.insert(0, _Finder())
except Exception:
    pass
try:
    _run_the_machines_own()
except Exception:
    pass
