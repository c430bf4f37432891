import signal, subprocess, pytest
from tests.cli.conftest import *
from tests.conftest import *
from tests.cli.running import started, descendants
from tests.cli.test_together import first_line


@pytest.mark.parametrize("n", range(8))
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("below", [0, 1])
def test_x(redis, tmp_path, sent, n, below):
    settings = {
        "SEATS_REDIS_URL": redis,
        "SEATS_CROVVER_API_KEY": "sk_test_x",
        "PYTHONFAULTHANDLER": "1",
        "SEATS_CROVVER_BASE_URL": "http://127.0.0.1:1",
    }
    from tests.cli.running import environment
    import sys

    p = subprocess.Popen(
        [sys.executable, "/tmp/sched_dbg2.py"],
        cwd=tmp_path,
        env=environment(settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    first_line(p, "ready")
    if below:
        descendants(p.pid)
    p.send_signal(sent)
    try:
        assert p.wait(9) == 0
    except BaseException:
        pass
        p.send_signal(signal.SIGABRT)
        print(p.communicate()[0])
        raise
