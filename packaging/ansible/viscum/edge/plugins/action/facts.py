# SPDX-License-Identifier: GPL-2.0-only
from __future__ import absolute_import, division, print_function

__metaclass__ = type

from ansible.errors import AnsibleActionFail

from ansible_collections.viscum.edge.plugins.plugin_utils.device import DeviceAction, explain


class ActionModule(DeviceAction):
    spec = {"instance": {"type": "str", "default": "viscum"}}

    def act(self):
        answer = self.ask(instance=self.parameters["instance"])
        report = answer["report"] if answer["code"] == 0 else None
        services = report.get("services", []) if isinstance(report, dict) else None if report else []
        if not isinstance(services, list) or not all(isinstance(one, dict) and "name" in one for one in services):
            raise AnsibleActionFail("the device's report cannot be understood")
        facts = {
            "installed": answer["installed"],
            "running": report is not None,
            "package_manager": answer["manager"],
            "kernel": answer["kernel"],
            "machine": answer["machine"],
            "version": (report or {}).get("version", ""),
            "grade": (report or {}).get("grade", ""),
            "problem": "" if report else explain(answer["report"]) if answer["installed"] else "viscum is not installed",
            "report": report or {},
            "services": dict((str(service["name"]), service) for service in services),
        }
        return {"changed": False, "ansible_facts": {"viscum": facts}, "viscum": facts}
