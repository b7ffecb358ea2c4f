// SPDX-License-Identifier: GPL-2.0-only
#include "controller/daemon/choose_grade.h"

#include <cerrno>

#include "base/log.h"
#include "base/text.h"
#include "controller/world/classic_grade.h"
#include "controller/world/socket_grade.h"
#include "tcprog/object.h"
#include "tcprog/pins.h"

namespace viscum {
namespace {

void tell(const Carryover& carryover) {
    if (!carryover.older.empty()) {
        log_info(cat("tables of version ", carryover.older.back(), " are carried over to version ", VS_ABI));
    }
    for (const auto& table : carryover.lost) {
        log_warn(cat("table ", table, " cannot be carried over: what it held is lost"));
    }
    for (const auto version : carryover.discarded) {
        log_warn(cat("tables of version ", version, ", of a newer viscumd, are discarded: counters begin at 0 and UDP ",
                     "flows are forgotten; TCP connections go on"));
    }
}

Result<std::unique_ptr<Grade>> open_classic(const Instance& instance, std::string reason) {
    log_warn(cat("packets are directed by the classic grade: ", reason));
    auto grade = ClassicGrade::open(instance, std::move(reason));
    return grade ? Result<std::unique_ptr<Grade>>(*std::move(grade)) : std::move(grade).error();
}

}  // namespace

Result<std::unique_ptr<Grade>> choose_grade(const Instance& instance, const RouterConfig& config, NewerTables newer) {
    keep_libbpf_words();
    if (config.datapath == DatapathChoice::classic) {
        return open_classic(instance, "viscum.yaml says `datapath: classic`");
    }
    const auto socket = NlSocket::open();
    if (!socket) {
        return socket.error();
    }
    const auto pinned = pinned_versions(instance.bpf_dir());
    auto grade = SocketGrade::open(instance, config.tables, *socket, newer);
    if (grade) {
        tell((*grade)->carryover());
        return std::unique_ptr<Grade>(*std::move(grade));
    }
    // Where an earlier viscumd had the programs the kernel can have them, and what it left would be lost.
    const bool had = !pinned || !pinned->empty();
    if (config.datapath == DatapathChoice::socket || had || grade.error().errno_code != ENOEXEC) {
        return std::move(grade).error();
    }
    return open_classic(instance, grade.error().what);
}

}  // namespace viscum
