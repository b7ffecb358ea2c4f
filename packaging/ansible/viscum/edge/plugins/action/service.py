# SPDX-License-Identifier: GPL-2.0-only
from __future__ import absolute_import, division, print_function

__metaclass__ = type

import yaml

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.text.converters import to_bytes, to_text
from ansible.parsing.yaml.dumper import AnsibleDumper

from ansible_collections.viscum.edge.plugins.plugin_utils.device import DeviceAction, difference, digest_of, explain


class ActionModule(DeviceAction):
    spec = {
        "name": {"type": "str"},
        "state": {"type": "str", "default": "present", "choices": ["present", "absent", "drained", "confirmed", "reverted"]},
        "src": {"type": "path"},
        "content": {"type": "str"},
        "definition": {"type": "dict"},
        "wait": {"type": "str"},
        "confirm": {"type": "str"},
        "digest": {"type": "str"},
        "instance": {"type": "str", "default": "viscum"},
    }
    rules = {
        "mutually_exclusive": [("src", "content", "definition")],
        "required_if": [("state", "present", ("src", "content", "definition"), True)],
    }

    def act(self):
        wanted = self.parameters
        text = self.source() if wanted["state"] in ("present", "drained") else None
        arguments = dict((key, wanted[key]) for key in ("state", "wait", "confirm", "digest", "instance"))
        arguments["name"] = self.name_of(text)
        if text is not None:
            arguments["file"] = self.send("service.yaml", text)
            arguments["sum"] = digest_of(text)
        return self.outcome(self.ask(**arguments), arguments["name"], text)

    def source(self):
        if self.parameters.get("definition") is None:
            return super(ActionModule, self).source()
        return to_bytes(
            yaml.dump(self.parameters["definition"], Dumper=AnsibleDumper, default_flow_style=False, sort_keys=False)
        )

    def name_of(self, text):
        """As the file says, which viscumctl reads: every scalar is a text, also 16 and off. What is no YAML has none, and
        viscumctl says so."""
        given = self.parameters["name"]
        found = None
        if text is not None:
            try:
                found = yaml.load(text, Loader=yaml.BaseLoader).get("name")
            except (yaml.YAMLError, AttributeError, ValueError):
                pass
        if given and found and given != found:
            raise AnsibleActionFail("the file is of the service '%s', not '%s'" % (found, given))
        name = to_text(given or found or "")
        if name.strip("abcdefghijklmnopqrstuvwxyz0123456789-"):
            raise AnsibleActionFail("'%s' is no name of a service" % name)
        if not name and text is None:
            raise AnsibleActionFail("name: of which service?")
        return name

    def outcome(self, answer, name, text):
        said, before = answer["answer"] or {}, answer["before"]
        result = {
            "changed": answer["changed"],
            "name": name,
            "before": before,
            "service": answer["status"] or {},
        }
        if answer["code"] != 0:
            result.update(failed=True, code=answer["code"], msg=explain(said, self.parameters["src"] or "content"), error=said.get("error", {}))
            # What a deploy that fails leaves is what was there.
            result["changed"] = answer["stored"] != before
            return result
        if said.get("message"):
            result["msg"] = said["message"]
        if said.get("details"):
            result["steps"] = said["details"]
        after = before if text is None else to_text(text, errors="replace")
        if self.parameters["state"] == "absent":
            after = ""
        drained = "drained" if (answer["status"] or {}).get("drained") else "served"
        path = "/etc/%s/services/%s.yaml" % (self.parameters["instance"], name)
        result["diff"] = [difference(before, after, path)]
        if answer["changed"] and before == after:
            was = {"drained": "served", "present": "drained"}.get(self.parameters["state"], drained)
            now = {"drained": "drained", "present": "served"}.get(self.parameters["state"], drained)
            result["diff"] = [difference(was + "\n", now + "\n", name)]
        return result
