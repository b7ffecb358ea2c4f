// SPDX-License-Identifier: GPL-2.0-only
#include "controller/daemon/failover.h"

#include <doctest/doctest.h>

using namespace viscum;
using namespace std::chrono_literals;

namespace {

constexpr FirstSign::Sign kEnd{10s, FirstSign::Cause::exited};

ServiceReport reported(const FailoverHistory& history, BootTime now) {
    ServiceReport out;
    history.report(out, now);
    return out;
}

}  // namespace

TEST_CASE("failover: the first sign is the beginning of the first probe that failed in a row") {
    FirstSign sign;
    sign.answered(false, 1s);
    sign.answered(true, 2s);
    sign.answered(false, 3s);
    sign.answered(false, 4s);
    CHECK_FALSE(sign.sign());
    sign.unhealthy(5s);
    CHECK(sign.sign() == FirstSign::Sign{3s, FirstSign::Cause::unhealthy});
    sign.exited(6s);
    CHECK(sign.sign() == FirstSign::Sign{3s, FirstSign::Cause::unhealthy});
    sign.healthy();
    CHECK_FALSE(sign.sign());
    sign.exited(7s);
    CHECK(sign.sign() == FirstSign::Sign{7s, FirstSign::Cause::exited});
}

TEST_CASE("failover: only the step from served to not served counts, and in its bucket") {
    FailoverHistory history;
    history.rules_stand(false, kEnd, {}, 11s);
    history.rules_stand(true, std::nullopt, {}, 11s);
    CHECK(reported(history, 11s).failover_buckets.empty());
    history.rules_stand(false, kEnd, {}, 10s + 7ms);
    history.rules_stand(false, kEnd, {}, 12s);
    const ServiceReport once = reported(history, 13s);
    CHECK(once.failovers == 1);
    CHECK(once.failover_us == 7'000);
    CHECK(once.failover_last_us == 7'000);
    CHECK(once.failover_buckets[2] == FailoverBucket{5, 0});
    CHECK(once.failover_buckets[3] == FailoverBucket{10, 1});
    CHECK(once.failover_buckets.back() == FailoverBucket{30'000, 1});
    CHECK(once.given_back[0] == CauseCount{"exited", 1});
    CHECK(once.given_back_ms_ago == 2'993);
    history.rules_stand(true, std::nullopt, {}, 14s);
    history.rules_stand(false, kEnd, {}, 10s + 31s);
    CHECK(reported(history, 50s).failover_buckets.back().count == 1);
    CHECK(reported(history, 50s).failovers == 2);
}

TEST_CASE("failover: a drain, an end and what has no sign are counted by cause, and are no fail-over") {
    FailoverHistory history;
    history.rules_stand(true, std::nullopt, {}, 1s);
    history.rules_stand(false, kEnd, {.drained = true}, 2s);
    history.rules_stand(true, std::nullopt, {}, 3s);
    history.rules_stand(false, std::nullopt, {}, 4s);
    CHECK(reported(history, 5s).given_back_cause == "other");
    history.rules_stand(true, std::nullopt, {}, 6s);
    history.rules_stand(false, std::nullopt, {.ended = true}, 7s);
    const ServiceReport out = reported(history, 8s);
    CHECK(out.failovers == 0);
    CHECK(out.given_back ==
          std::vector<CauseCount>{{"exited", 0}, {"unhealthy", 0}, {"drained", 1}, {"ended", 1}, {"other", 1}});
    CHECK(out.given_back_cause == "ended");
}
