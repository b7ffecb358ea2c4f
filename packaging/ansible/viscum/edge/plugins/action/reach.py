# SPDX-License-Identifier: GPL-2.0-only
from __future__ import absolute_import, division, print_function

__metaclass__ = type

import random
import time

from ansible.errors import AnsibleConnectionFailure
from ansible.module_utils.common.text.converters import to_text

from ansible_collections.viscum.edge.plugins.plugin_utils.device import DeviceAction


class ActionModule(DeviceAction):
    TRANSFERS_FILES = False
    spec = {
        "tries": {"type": "int", "default": 4},
        "backoff": {"type": "float", "default": 2.0},
        "backoff_max": {"type": "float", "default": 60.0},
        "jitter": {"type": "float", "default": 0.25},
    }

    def act(self):
        wanted = self.parameters
        result = {"changed": False, "reached": False, "trusted": True, "tries": 0, "waited": 0.0, "msg": ""}
        pause = wanted["backoff"]
        while True:
            result["tries"] += 1
            problem = self.problem()
            if not problem:
                result.update(reached=True, msg="")
                return result
            result["msg"] = problem
            # Another host key stays another one, however often one asks.
            result["trusted"] = "host key" not in problem.lower()
            if result["tries"] >= wanted["tries"] or not result["trusted"]:
                return result
            wait = min(pause, wanted["backoff_max"]) * random.uniform(1 - wanted["jitter"], 1 + wanted["jitter"])
            time.sleep(wait)
            result["waited"] = round(result["waited"] + wait, 1)
            pause *= 2

    def problem(self):
        """Why the device gives no answer over a connection of its own; empty where it does."""
        try:
            self._connection.reset()
        except Exception as error:  # pylint: disable=broad-except
            self._display.vvv("no connection to end: %s" % to_text(error))
        try:
            done = self._low_level_execute_command("true", sudoable=False)
        except AnsibleConnectionFailure as error:
            return to_text(error).strip() or "no connection"
        return "" if done["rc"] == 0 else to_text(done["stderr"]).strip() or "the shell ended with %d" % done["rc"]
