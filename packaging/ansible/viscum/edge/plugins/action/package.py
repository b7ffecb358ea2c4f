# SPDX-License-Identifier: GPL-2.0-only
from __future__ import absolute_import, division, print_function

__metaclass__ = type

import re

from ansible.errors import AnsibleActionFail

from ansible_collections.viscum.edge.plugins.plugin_utils.device import DeviceAction, difference, file_digest

# NAME_VERSION_ARCHITECTURE.ipk and .deb, NAME-VERSION.apk: as those who build them name them.
FORMS = {
    "ipk": re.compile(r"^([a-z0-9][a-z0-9+.-]*)_([^_]+)_[^_]+\.ipk$"),
    "deb": re.compile(r"^([a-z0-9][a-z0-9+.-]*)_([^_]+)_[^_]+\.deb$"),
    "apk": re.compile(r"^([a-z0-9][a-z0-9+.-]*?)-([0-9][^-]*(?:-r[0-9]+)?)(?:[._-][a-z0-9_]+)?\.apk$"),
}


def identify(path):
    name = DeviceAction.base_name(path)
    for kind, form in FORMS.items():
        match = form.match(name)
        if match:
            # In a file's name dpkg leaves an epoch out.
            return kind, match.group(1), match.group(2)
    raise AnsibleActionFail("%s: neither NAME_VERSION_ARCHITECTURE.ipk or .deb, nor NAME-VERSION.apk" % name)


class ActionModule(DeviceAction):
    spec = {
        "src": {"type": "path", "required": True},
        "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
        "downgrade": {"type": "bool", "default": False},
        "force": {"type": "bool", "default": False},
    }

    def act(self):
        wanted = self.parameters
        kind, name, version = identify(wanted["src"])
        known = self.ask(state="known", name=name, kind=kind)
        before = known["version"]
        present = wanted["state"] == "present"
        result = {"changed": False, "name": name, "version": version if present else "", "before": before}
        result["diff"] = [difference(before + "\n", result["version"] + "\n", name)]
        if known["code"] != 0:
            result.update(failed=True, msg=known["said"].strip())
            return result
        if (before == version if present else not before) and not (present and wanted["force"]):
            return result
        result["changed"] = True
        if self.check_mode:
            return result
        arguments = {"name": name, "kind": kind, "state": wanted["state"], "downgrade": wanted["downgrade"]}
        if present:
            path = self.local(wanted["src"])
            arguments.update(file=self.send_file(self.base_name(path), path), sum=file_digest(path))
        answer = self.ask(**arguments)
        result["changed"] = answer["version"] != before or wanted["force"]
        result["version"] = answer["version"]
        result["stdout"] = answer["said"]
        if answer["code"] != 0:
            result.update(failed=True, msg="%s was not installed: %s" % (name, answer["said"].strip()))
        elif present and answer["version"] != version:
            result.update(
                failed=True,
                msg="%s %s is installed, not %s: %s" % (name, answer["version"], version, answer["said"].strip()),
            )
        return result
