import pytest
import requests

from runner.errors import UsageError
from runner.sandbox.td_serving import running_td_sandbox
from runner.sandbox.td_settings import TdSandboxSettings


def test_a_sandbox_in_the_process_names_its_addresses_and_ends_with_the_block(tmp_path):
    settings = TdSandboxSettings(data=tmp_path / "data", store=tmp_path / "store")
    with running_td_sandbox(settings) as running:
        assert running.url.startswith("http://127.0.0.1:")
        assert requests.get(running.jobs_url, timeout=10).json()["jobs"] == []
        assert requests.get(running.calls_url, timeout=10).json()["total"] == 0
        assert requests.get(running.faults_url, timeout=10).json()["faults"] == []
    with pytest.raises(requests.ConnectionError):
        requests.get(running.jobs_url, timeout=10)
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken_is_a_clear_error(tmp_path):
    settings = TdSandboxSettings(data=tmp_path, store=tmp_path)
    with running_td_sandbox(settings) as running:
        taken = TdSandboxSettings(data=tmp_path, store=tmp_path, port=int(running.url.rpartition(":")[2]))
        with pytest.raises(UsageError, match="cannot listen"), running_td_sandbox(taken):
            pass


@pytest.mark.parametrize("host", ["0.0.0.0", "::1"])
def test_it_names_an_address_that_can_be_asked(tmp_path, host):
    settings = TdSandboxSettings(data=tmp_path, store=tmp_path, host=host)
    try:
        with running_td_sandbox(settings) as running:
            assert requests.get(running.jobs_url, timeout=10).status_code == 200
    except UsageError:
        pytest.skip("this machine has no IPv6")
