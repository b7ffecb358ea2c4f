// SPDX-License-Identifier: GPL-2.0-only
// What somebody asks for with a key that `viscumctl gate` is the command of.
#include "controller/ctl/gate.h"

#include "base/text.h"
#include "tests/fuzz/fuzz.h"

using namespace viscum;
using namespace viscum::fuzz;

namespace {

bool is_plain(std::string_view word) {
    return !word.empty() && std::all_of(word.begin(), word.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
    });
}

bool has(const std::vector<std::string>& words, std::string_view word) {
    return std::find(words.begin(), words.end(), word) != words.end();
}

void check(GateRole role, std::string_view command) {
    const auto admitted = admit_command(role, command);
    if (!admitted) {
        require(!admitted.error().what.empty() && !has_control(admitted.error().what) &&
                    admitted.error().what.size() < 400 + command.size(),
                "a refusal is one line that says why");
        return;
    }
    const auto& words = admitted->words;
    require(!words.empty() && std::all_of(words.begin(), words.end(), is_plain), "words are plain");
    for (const char* never : {"exec", "gate", "image", "--instance", "--help", "--version", "--"}) {
        require(!has(words, never), "what no key may say is never admitted");
    }
    const bool writes = has(words, "deploy") || has(words, "confirm") || has(words, "drain") || has(words, "resume") ||
                        has(words, "restart") || has(words, "remove");
    require(role == GateRole::deploy || !admitted->writes, "who may look changes nothing");
    require(!admitted->writes || writes, "what writes is a verb that does");
    const auto again = admit_command(role, join(words, " "));
    require(again && again->words == words && again->writes == admitted->writes, "words stay what they are");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto command = text_of(data, size);
    check(GateRole::observe, command);
    check(GateRole::deploy, command);
    require(!is_key_name(command) || (!command.empty() && command.size() <= 64 && !has_control(command)),
            "a key's name is a word");
    return 0;
}
