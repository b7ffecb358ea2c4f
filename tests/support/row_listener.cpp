// SPDX-License-Identifier: GPL-2.0-only
// How each test that stands for a row of the fault matrix ("fault 7: …") went, for docs/reliability.md.
#include <doctest/doctest.h>

#include <cstdlib>
#include <map>
#include <string>
#include <string_view>

#include "base/text.h"
#include "tests/support/campaign.h"
#include "tests/support/sandbox.h"

namespace viscum {
namespace {

class RowListener : public doctest::IReporter {
public:
    explicit RowListener(const doctest::ContextOptions&) {}

    void test_case_start(const doctest::TestCaseData& data) override {
        name_ = data.m_name;
        skipped_because().clear();
        write_down("no", 0);  // until it has ended: it may crash, or be killed
    }
    void test_case_end(const doctest::CurrentTestCaseStats& stats) override {
        if (stats.failure_flags == 0 && skipped_because().empty() && stats.numAssertsCurrentTest == 0) {
            skipped_because() = "it looked at nothing";
        }
        write_down(stats.failure_flags != 0    ? "no"
                   : skipped_because().empty() ? "yes"
                                               : "skipped",
                   stats.numAssertsCurrentTest);
    }

    void report_query(const doctest::QueryData&) override {}
    void test_run_start() override {}
    void test_run_end(const doctest::TestRunStats&) override {}
    void test_case_reenter(const doctest::TestCaseData&) override {}
    void test_case_exception(const doctest::TestCaseException&) override {}
    void subcase_start(const doctest::SubcaseSignature&) override {}
    void subcase_end() override {}
    void log_assert(const doctest::AssertData&) override {}
    void log_message(const doctest::MessageData&) override {}
    void test_case_skipped(const doctest::TestCaseData&) override {}

private:
    void write_down(const std::string& held, int checks) const {
        const std::string_view prefix = "fault ";
        const auto colon = name_.find(": ");
        // One point that is repeated is not the whole of it.
        if (!name_.starts_with(prefix) || colon == std::string::npos || std::getenv("VISCUM_POINT") != nullptr) {
            return;
        }
        const std::string row = name_.substr(prefix.size(), colon - prefix.size());
        // A name may stand for several rows, "fault 15, 16: …"; two tests of a row differ in their text.
        (void)record({.part = cat("row-", hex(fnv1a(name_), 16)),
                      .title = row,
                      .repeat = "",
                      .values = {{"test", name_.substr(colon + 2)},
                                 {"held", held},
                                 {"skipped", skipped_because()},
                                 {"checks", std::to_string(checks)}}});
    }

    std::string name_;
};

}  // namespace
}  // namespace viscum

using viscum::RowListener;
DOCTEST_REGISTER_LISTENER("rows", 1, RowListener);
