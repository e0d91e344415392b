"""A configuration file on the balancer of a lab, for `apply`, `plan` and `lb --config`."""

import json

from lab import Lab, names

from .programs import CTRAFFIC_PORT


class File:
    """The servers of the lab as targets of one service on ctraffic's port."""

    def __init__(self, lab: Lab, path, servers: int | None = None, service: str = "echo"):
        self.path = str(path / "lb.json")
        self._lab = lab
        self.config = {
            "version": 1,
            "targets": [],
            "services": [
                {
                    "name": service,
                    "vips": [lab.vip4, lab.vip6],
                    "listen": [{"protocol": "tcp", "ports": [CTRAFFIC_PORT]}],
                    "targets": [],
                }
            ],
        }
        for server in names.servers(lab.spec)[:servers]:
            self.add(server.name)
        self.write()

    @property
    def service(self) -> dict:
        return self.config["services"][0]

    def add(self, name: str) -> None:
        server = next(server for server in names.servers(self._lab.spec) if server.name == name)
        self.config["targets"].append({"name": name, "mac": server.mac(names.SEGMENT)})
        self.service["targets"].append(name)
        self.write()

    def remove(self, name: str) -> None:
        self.config["targets"] = [target for target in self.config["targets"] if target["name"] != name]
        self.service["targets"].remove(name)
        self.write()

    def state(self, target: str, state: str) -> None:
        for one in self.config["targets"]:
            if one["name"] == target:
                one["state"] = state
        self.write()

    def write(self, text: str = "") -> None:
        with open(self.path, "w") as file:
            file.write(text or json.dumps(self.config, indent=1))
