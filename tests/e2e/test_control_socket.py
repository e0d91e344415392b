"""The daemon's control socket: who may use it, and what becomes of it when a daemon ends, dies or comes twice."""

import json
import stat

from lab import Lab
from support.daemon import Daemon, configure
from support.faults import must_fail

PATH = "/run/xdplb/xdplb.sock"


def inside(lab: Lab, program: str):
    """Runs Python on the balancer, where its /run is."""
    return lab.lb.run(["/usr/bin/python3", "-c", program], check=False)


def ask(lab: Lab, line: str) -> dict:
    done = inside(
        lab,
        f"""if True:
        import socket
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(5)
        s.connect({PATH!r})
        s.sendall({line!r}.encode() + b"\\n")
        print(s.makefile().readline())""",
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def there(lab: Lab) -> bool:
    return lab.lb.run(f"test -S {PATH}", check=False).returncode == 0


def test_it_answers_and_goes_with_the_daemon(lab):
    configure(lab)
    with Daemon(lab) as daemon:
        assert ask(lab, '{"verb": "sing"}') == {"ok": False, "error": 'unknown verb "sing"'}
        modes = lab.lb.run(f"stat -c '%a %u' /run/xdplb {PATH}").stdout
        assert modes.split("\n")[:2] == ["700 0", "600 0"]
        assert "warning: " not in daemon.output
        daemon.stop()
        assert not there(lab)


def test_only_root_may_ask(lab):
    """Not even through a descriptor of the directory that root handed over."""
    configure(lab)
    with Daemon(lab):
        done = inside(
            lab,
            f"""if True:
            import os, socket
            os.chmod("/run/xdplb", 0o755); os.chmod({PATH!r}, 0o666)
            os.setuid(65534)
            s = socket.socket(socket.AF_UNIX)
            s.settimeout(5)
            s.connect({PATH!r})
            try:
                s.sendall(b'{{"verb": "sing"}}' + bytes([10]))
                print(s.recv(100))
            except ConnectionError:
                print(b"")""",
        )
        assert done.stdout.strip() == "b''", done.stdout + done.stderr


def test_a_killed_daemon_is_no_obstacle(lab):
    configure(lab)
    first = Daemon(lab)
    first.process.kill()
    first.process.wait()
    assert there(lab)
    with Daemon(lab) as second:
        assert ask(lab, '{"verb": "sing"}')["ok"] is False
        assert "control socket" not in second.output
    assert not there(lab)


def test_another_daemon_of_the_name_is_one(lab):
    """Its shared memory is elsewhere (another container), so that the lock in it does not keep the two apart."""
    configure(lab)
    with Daemon(lab):
        text = must_fail(
            lab,
            prefix=("unshare", "--mount", "sh", "-c",
                    'mount -t tmpfs tmpfs /dev/shm && xdplb init >/dev/null 2>&1 && exec "$@"', "sh"),
        )
        assert text == f"{PATH} is in use by another daemon: stop it, or give this one a name of its own with --shm"
        assert ask(lab, '{"verb": "sing"}')["ok"] is False


def test_without_it_packets_flow(lab):
    """Something else lies in its place: that stays, and is said."""
    configure(lab)
    lab.lb.shell(f"mkdir -m 700 /run/xdplb; echo mine > {PATH}")
    with Daemon(lab) as daemon:
        assert f"warning: {PATH} is there and is not a socket: refused: no control socket" in daemon.output
        assert lab.client.run(f"ping -c1 -W2 -q {lab.vip4}", check=False).returncode == 0
        daemon.stop()
    assert lab.lb.run(f"cat {PATH}").stdout == "mine\n"
