// SPDX-License-Identifier: GPL-2.0-only
#include "controller/ctl/gate.h"

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/text.h"
#include "controller/spec/service_spec.h"
#include "controller/why/flow_query.h"

namespace viscum {
namespace {

constexpr std::size_t kMaxCommand = 1024;  // bytes
constexpr std::size_t kMaxKeyName = 64;
constexpr std::uint64_t kMostLines = 10'000;

enum class Value : std::uint8_t { none, time, number };

struct Option {
    std::string_view name;
    Value value = Value::none;
};

enum class Operand : std::uint8_t { none, service, maybe_service, file, maybe_file, flow };

struct Rule {
    std::string_view verb;
    GateRole role;  // that it takes
    bool writes = false;
    Operand operand = Operand::none;
    std::array<Option, 4> options{};
};

constexpr Option kWait{"--wait", Value::time};

constexpr std::array kRules{
    Rule{"list", GateRole::observe, false, Operand::none, {}},
    Rule{"status", GateRole::observe, false, Operand::maybe_service, {}},
    Rule{"logs",
         GateRole::observe,
         false,
         Operand::service,
         {Option{"-n", Value::number}, Option{"--lines", Value::number}, Option{"-f"}}},
    Rule{"events",
         GateRole::observe,
         false,
         Operand::maybe_service,
         {Option{"-n", Value::number}, Option{"--lines", Value::number}, Option{"--since", Value::time}, Option{"-f"}}},
    Rule{"audit", GateRole::observe, false, Operand::service, {}},
    Rule{"savings",
         GateRole::observe,
         false,
         Operand::maybe_service,
         {Option{"--days", Value::number}, Option{"--csv"}}},
    Rule{"doctor", GateRole::observe, false, Operand::none, {}},
    Rule{"why", GateRole::observe, false, Operand::flow, {}},
    Rule{"plan", GateRole::observe, false, Operand::maybe_file, {}},
    Rule{"validate", GateRole::observe, false, Operand::file, {}},
    Rule{"version", GateRole::observe, false, Operand::none, {}},
    Rule{"deploy",
         GateRole::deploy,
         true,
         Operand::file,
         {kWait, Option{"--confirm", Value::time}, Option{"--dry-run"}}},
    Rule{"bundle list", GateRole::observe, false, Operand::none, {}},
    Rule{"bundle lacks", GateRole::deploy, false, Operand::file, {}},
    // No --allow-downgrade: who has a key, and an old bundle, gets no further than that.
    Rule{"bundle install", GateRole::deploy, true, Operand::file, {kWait, Option{"--confirm", Value::time}}},
    Rule{"confirm", GateRole::deploy, true, Operand::maybe_service, {}},
    Rule{"revert", GateRole::deploy, true, Operand::maybe_service, {}},
    Rule{"drain", GateRole::deploy, true, Operand::maybe_service, {Option{"--all"}}},
    Rule{"resume", GateRole::deploy, true, Operand::maybe_service, {Option{"--all"}}},
    Rule{"restart", GateRole::deploy, true, Operand::service, {kWait}},
    Rule{"remove", GateRole::deploy, true, Operand::service, {kWait}},
};

Error refused(std::string why) {
    return Error{EACCES, std::move(why)};
}

// What stands in an error or a log says nothing else there.
std::string shown(std::string_view text) {
    std::string out;
    for (const char c : text) {
        out += c >= ' ' && c <= '~' && c != '\'' ? c : '?';
    }
    return out;
}

std::string what_role_says(GateRole role) {
    std::vector<std::string> verbs;
    for (const Rule& rule : kRules) {
        if (rule.role <= role) {
            verbs.emplace_back(rule.verb);
        }
    }
    return cat("this key may say: ", join(verbs, ", "));
}

bool is_value(Value kind, const std::string& text) {
    return kind == Value::time ? parse_duration(text).has_value() : parse_decimal(text, kMostLines).has_value();
}

/// An option at `words[at]`, and its value, which `at` is then moved to.
Status check_option(const Rule& rule, const std::vector<std::string>& words, std::size_t& at) {
    const std::string& word = words[at];
    if (word == "--json") {
        return {};
    }
    const auto option =
        std::find_if(rule.options.begin(), rule.options.end(), [&](const Option& each) { return each.name == word; });
    if (option == rule.options.end()) {
        return refused(cat("'", rule.verb, "' has no option '", shown(word), "' here"));
    }
    if (option->value == Value::none) {
        return {};
    }
    if (++at == words.size() || !is_value(option->value, words[at])) {
        return refused(cat("'", word, "' needs a ", option->value == Value::time ? "time" : "number"));
    }
    return {};
}

Status check_flow(const std::vector<std::string>& operands) {
    if (operands.size() != 2) {
        return refused("'why' takes a client's address and ADDRESS:PORT/PROTOCOL");
    }
    const auto flow = parse_flow(operands[0], operands[1]);
    return flow ? Status{} : refused(shown(flow.error().what));
}

Status check_operands(const Rule& rule, const std::vector<std::string>& operands) {
    if (rule.operand == Operand::flow) {
        return check_flow(operands);
    }
    const bool needed = rule.operand == Operand::service || rule.operand == Operand::file;
    const bool is_file = rule.operand == Operand::file || rule.operand == Operand::maybe_file;
    if (operands.size() > (rule.operand == Operand::none ? 0 : 1) || (needed && operands.empty())) {
        return refused(cat("'", rule.verb, "' takes ",
                           rule.operand == Operand::none ? "no operand"
                           : is_file                     ? "one file, -, which is standard input"
                                                         : "one service's name"));
    }
    for (const auto& operand : operands) {
        if (is_file ? operand != "-" : !is_service_name(operand)) {
            return refused(is_file ? "a file comes by standard input: write -"
                                   : cat("'", shown(operand), "' is no service's name"));
        }
    }
    return {};
}

}  // namespace

std::optional<GateRole> gate_role(std::string_view name) {
    return name == "observe"  ? std::optional(GateRole::observe)
           : name == "deploy" ? std::optional(GateRole::deploy)
                              : std::nullopt;
}

Result<GatedCommand> admit_command(GateRole role, std::string_view command) {
    if (command.size() > kMaxCommand) {
        return refused(cat("a command has at most ", kMaxCommand, " bytes"));
    }
    GatedCommand out;
    out.words = split_words(command);
    if (!out.words.empty() && out.words.front() == "viscumctl") {
        out.words.erase(out.words.begin());
    }
    // Also in front of the verb, as people write it.
    const auto verb =
        std::find_if(out.words.begin(), out.words.end(), [](const auto& word) { return word != "--json"; });
    if (verb == out.words.end()) {
        return refused(what_role_says(role));
    }
    // "bundle" has verbs of its own.
    const auto after = std::next(verb, *verb == "bundle" && std::next(verb) != out.words.end() ? 2 : 1);
    const std::string name = join({verb, after}, " ");
    const auto rule = std::find_if(kRules.begin(), kRules.end(),
                                   [&](const Rule& each) { return each.verb == name && each.role <= role; });
    if (rule == kRules.end()) {
        return refused(cat("'", shown(name), "' is refused: ", what_role_says(role)));
    }
    std::vector<std::string> operands;
    for (auto at = static_cast<std::size_t>(after - out.words.begin()); at < out.words.size(); ++at) {
        const std::string& word = out.words[at];
        if (word.starts_with('-') && word != "-") {
            if (auto status = check_option(*rule, out.words, at); !status) {
                return std::move(status).error();
            }
        } else {
            operands.push_back(word);
        }
    }
    if (auto status = check_operands(*rule, operands); !status) {
        return std::move(status).error();
    }
    out.writes = rule->writes;
    return out;
}

bool is_key_name(std::string_view name) {
    return !name.empty() && name.size() <= kMaxKeyName && std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
               c == '@' || c == '-';
    });
}

}  // namespace viscum
