// SPDX-License-Identifier: GPL-2.0-only
// viscumd: the parts put together, the operator's requests answered, the lease renewed.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "base/event_loop.h"
#include "base/instance.h"
#include "base/unique_fd.h"
#include "base/wall_clock.h"
#include "controller/daemon/failover.h"
#include "controller/daemon/journal.h"
#include "controller/daemon/keeper.h"
#include "controller/daemon/observers.h"
#include "controller/daemon/reconciler.h"
#include "controller/daemon/savings.h"
#include "controller/daemon/services.h"
#include "controller/daemon/watchdog.h"
#include "controller/ipc/server.h"
#include "controller/store/store.h"
#include "controller/world/linux_world.h"
#include "tcprog/kept_pins.h"
#include "tcprog/loader.h"

namespace viscum {

/// The small programs beside viscumd.
struct Programs {
    std::string shim;
    std::string prober;
};

class Daemon {
public:
    /// Reads viscum.yaml (errno_code EINVAL: it is wrong), takes the instance's lock (EBUSY: another viscumd has it),
    /// adopts what runs, and listens. After either nothing was changed. EPROTO: the tables are a newer viscumd's.
    static Result<std::unique_ptr<Daemon>> open(const Instance& instance, const Programs& programs,
                                                NewerTables newer = NewerTables::refuse);

    /// Takes everything of the instance off this machine, whose daemon must not run: processes, namespaces, links,
    /// rules, filters, pins and the run directory. Configuration and state stay. Idempotent.
    static Status uninstall(const Instance& instance, NewerTables newer = NewerTables::refuse);

    /// Until SIGTERM or SIGINT. Services and datapath stay as they are: the next viscumd adopts them.
    Status run();

private:
    Daemon(Instance instance, std::unique_ptr<EventLoop> loop, UniqueFd lock, RouterConfig config, Store store,
           Cgroups cgroups);
    /// With its directories and its loop, and nothing done yet.
    static Result<std::unique_ptr<Daemon>> assemble(const Instance& instance, UniqueFd lock, RouterConfig config);
    Status start(const Programs& programs, NewerTables newer);
    Status open_world(const Programs& programs, NewerTables newer);
    [[nodiscard]] ClaimCheck claim_check();
    void warn(const std::vector<std::string>& problems);
    Status watch_signals();
    Status watch_names();
    void read_names_news();
    Status watch_router();
    /// Pins, control socket and lock.
    Status keep_files();
    Result<bool> keep_lock();
    void watch_backends();
    void watch_nft();
    void watch_clock(WallTime now);
    Status set_clock(WallTime when);
    void rest_prober();
    void on_signal();
    void reload();
    void recheck(bool read_files);
    void renew_lease();
    void feed_watchdog(Millis limit);
    void turn();

    // For the journal.
    void open_journal();
    void tell_start();
    void tell_lease(const Status& renewed, std::optional<BootTime> before);
    void tell_refused(ClientId client, const Request& request);

    void on_request(ClientId client, const Request& request);
    void deploy(ClientId client, const Request& request);
    void plan(ClientId client, const Request& request);
    void exec_info(ClientId client, const Request& request);
    void audit(ClientId client, const Request& request);
    void images(ClientId client);
    void savings(ClientId client, const Request& request);
    void report(ClientId client, const Request& request);
    /// One of the answers that a request with several services waits for.
    void answer(ClientId client, const Response& response);
    void send_finished();
    struct Checked {
        ServiceSpec spec;
        std::string text;
    };
    /// All files or none: what is wrong is answered.
    std::optional<std::vector<Checked>> check_files(ClientId client, const Request& request);

    Instance instance_;
    std::unique_ptr<EventLoop> loop_;
    UniqueFd lock_;
    Status may_serve_;  // fails once the lock is another viscumd's
    RouterConfig config_;
    std::uint32_t table_size_;  // as the datapath was opened; a changed file counts from the next start on
    Store store_;
    Cgroups cgroups_;
    UniqueFd signals_;
    UniqueFd names_;
    std::unique_ptr<LinuxWorld> world_;
    std::unique_ptr<Prober> prober_;
    std::unique_ptr<RunContext> context_;
    std::unique_ptr<Services> services_;
    std::unique_ptr<Reconciler> reconciler_;
    Failovers failovers_;
    std::unique_ptr<Journal> journal_;  // none while everything is taken off
    std::unique_ptr<Savings> savings_;
    std::unique_ptr<Server> server_;
    std::unique_ptr<Observers> observers_;
    std::map<BackendKey, int> backend_watches_;
    bool nft_watched_ = false;
    std::optional<WallAlarm> clock_;        // while a claim has an end
    std::optional<WallTime> clock_set_to_;  // nullopt: it has told something since, or is not set
    bool clock_failed_ = false;
    struct Pending {
        std::size_t open = 0;  // answers that are still to come
        Response sum;
    };
    std::map<ClientId, Pending> pending_;
    struct Finished {
        Response response;
        BootTime since;
    };
    std::map<ClientId, Finished> finished_;  // sent once the kernel has what they say, reports within a second
    std::optional<BootTime> lease_until_;
    EventLoop::TimerId lease_timer_ = 0;
    EventLoop::TimerId memory_timer_ = 0;
    std::optional<Watchdog> watchdog_;
    std::optional<KeptPins> pins_;
    std::unique_ptr<Keeper> keeper_;
};

/// /etc/NAME/viscum.yaml.
Result<RouterConfig> load_router_config(const Instance& instance);

}  // namespace viscum
