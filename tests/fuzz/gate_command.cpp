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
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == ':' || c == '/' ||
               c == '[' || c == ']';
    });
}

constexpr std::string_view kWriters = " deploy, bundle install, confirm, revert, drain, resume, restart, remove,";

bool has(const std::vector<std::string>& words, std::string_view word) {
    return std::find(words.begin(), words.end(), word) != words.end();
}

// A service may have any name, "exec" too: only the word in the verb's place is the verb.
std::string verb_of(const std::vector<std::string>& words) {
    const auto verb = std::find_if(words.begin(), words.end(), [](const auto& word) { return word != "--json"; });
    require(verb != words.end(), "what is admitted has a verb");
    const bool is_bundle = *verb == "bundle" && std::next(verb) != words.end();
    return is_bundle ? cat(*verb, " ", *std::next(verb)) : *verb;
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
    const auto verb = verb_of(words);
    for (const char* never : {"exec", "gate", "image", "backup", "restore", "bundle make", "bundle sign"}) {
        require(verb != never, "what no key may say is never admitted");
    }
    for (const char* never : {"--instance", "--help", "--version", "--allow-downgrade", "--"}) {
        require(!has(words, never), "an option that no key may give is never admitted");
    }
    require(role == GateRole::deploy || !admitted->writes, "who may look changes nothing");
    require(admitted->writes == (kWriters.find(cat(" ", verb, ",")) != std::string_view::npos),
            "what writes is a verb that does");
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
