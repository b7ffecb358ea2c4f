# SPDX-License-Identifier: GPL-2.0-only
from __future__ import absolute_import, division, print_function

__metaclass__ = type

from ansible_collections.viscum.edge.plugins.plugin_utils.device import DeviceAction, difference, explain, file_digest


class ActionModule(DeviceAction):
    spec = {
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
        "src": {"type": "path"},
        "force": {"type": "bool", "default": False},
        "limit": {"type": "str"},
        "instance": {"type": "str", "default": "viscum"},
    }
    rules = {"required_if": [("state", "present", ("src",))]}

    def act(self):
        wanted = self.parameters
        known = self.ask(state="known", name=wanted["name"], instance=wanted["instance"])
        present = wanted["state"] == "present"
        if known["code"] != 0:
            return self.outcome(known, False, "")
        if bool(known["before"]) == present and not (present and wanted["force"]):
            return self.outcome(known, False, known["before"])
        if self.check_mode:
            return self.outcome(known, True, "to be imported" if present else "")
        arguments = dict((key, wanted[key]) for key in ("name", "state", "limit", "instance"))
        if present:
            path = self.local(wanted["src"])
            arguments.update(file=self.send_file("image.tar", path), sum=file_digest(path))
        answer = self.ask(**arguments)
        now = ((answer["answer"] or {}).get("image") or {}).get("digest", "") if present else ""
        return self.outcome(answer, answer["changed"], now)

    def outcome(self, answer, changed, now):
        result = {"changed": changed, "name": self.parameters["name"], "digest": now}
        if answer["code"] != 0:
            result.update(failed=True, code=answer["code"], msg=explain(answer["answer"]))
        else:
            result["diff"] = [difference(answer["before"] + "\n", now + "\n", self.parameters["name"])]
        return result
