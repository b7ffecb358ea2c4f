# SPDX-License-Identifier: GPL-2.0-only
from __future__ import absolute_import, division, print_function

__metaclass__ = type

from ansible.module_utils.common.text.converters import to_text

from ansible_collections.viscum.edge.plugins.plugin_utils.device import DeviceAction, difference, digest_of, explain


class ActionModule(DeviceAction):
    spec = {
        "src": {"type": "path"},
        "content": {"type": "str"},
        "instance": {"type": "str", "default": "viscum"},
    }
    rules = {"mutually_exclusive": [("src", "content")], "required_one_of": [("src", "content")]}

    def act(self):
        text = self.source()
        answer = self.ask(
            file=self.send("viscum.yaml", text), sum=digest_of(text), instance=self.parameters["instance"]
        )
        result = {"changed": answer["changed"]}
        if answer["code"] != 0:
            result.update(failed=True, code=answer["code"], msg=explain(answer["answer"]))
            return result
        path = "/etc/%s/viscum.yaml" % self.parameters["instance"]
        result["diff"] = [difference(answer["before"], to_text(text, errors="replace"), path)]
        return result
