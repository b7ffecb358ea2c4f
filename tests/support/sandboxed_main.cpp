// SPDX-License-Identifier: GPL-2.0-only
// doctest's main for tests that need root: everything runs in a sandbox, but questions about the tests are answered
// outside of it, so that the build, which asks for their names, needs no privilege.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "tests/support/sandbox.h"

namespace {

bool is_question(std::string_view option) {
    constexpr std::array kQuestions = {"list-test-cases",
                                       "list-test-suites",
                                       "list-reporters",
                                       "count",
                                       "help",
                                       "version",
                                       "ltc",
                                       "lts",
                                       "lr",
                                       "c",
                                       "h",
                                       "v"};
    const auto name = option.substr(std::min(option.find_first_not_of('-'), option.size()));
    const auto bare = name.starts_with("dt-") ? name.substr(3) : name;
    return name.size() < option.size() && std::ranges::find(kQuestions, bare) != kQuestions.end();
}

}  // namespace

int main(int argc, char** argv) {
    const auto run = [&] { return doctest::Context(argc, argv).run(); };
    return std::any_of(argv + 1, argv + argc, is_question) ? run() : viscum::run_in_sandbox(run);
}
