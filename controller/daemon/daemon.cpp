// SPDX-License-Identifier: GPL-2.0-only
#include "controller/daemon/daemon.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "controller/backup/staged.h"
#include "controller/daemon/choose_grade.h"
#include "controller/daemon/footprint.h"
#include "controller/daemon/numbers.h"
#include "controller/daemon/report_builder.h"
#include "controller/ipc/observe.h"
#include "controller/spec/check.h"
#include "controller/spec/parse.h"
#include "controller/store/instance_lock.h"

namespace viscum {
namespace {

constexpr std::size_t kConfigLimit = 256 * 1024;
constexpr Millis kLookInterval{10'000};  // at everything, where no lease sets the pace
constexpr Millis kHangLimit{30'000};     // the lease, where that is longer
constexpr Millis kUninstallLimit{60'000};

LogLevel level_of(const std::string& name) {
    return name == "debug"   ? LogLevel::debug
           : name == "warn"  ? LogLevel::warn
           : name == "error" ? LogLevel::error
                             : LogLevel::info;
}

/// Four descriptors a service; the soft limit is 1,024 by custom, for programs that use select(2).
void raise_descriptor_limit() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

}  // namespace

Result<RouterConfig> load_router_config(const Instance& instance) {
    const std::string file = instance.config_file();
    const auto text = read_file(file, kConfigLimit);
    if (!text && text.error().errno_code == ENOENT) {
        return Error{EINVAL, cat("there is no '", file,
                                 "'; a short one: lan: [br-lan] and, on a line of its own, claimable: []")};
    }
    if (!text) {
        return text.error();
    }
    // It decides whose traffic is redirected.
    struct stat info {};
    if (stat(file.c_str(), &info) != 0 || info.st_uid != 0 || (info.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        return Error{EINVAL, cat("'", file, "' is not root's alone to write: chown root and chmod 644 it")};
    }
    auto parsed = parse_router_config(*text, instance.config_file());
    if (const auto* diagnostics = std::get_if<Diagnostics>(&parsed)) {
        std::vector<std::string> lines;
        for (const auto& diagnostic : *diagnostics) {
            lines.push_back(diagnostic.text());
        }
        return Error{EINVAL, join(lines, "\n")};
    }
    return std::move(std::get<RouterConfig>(parsed));
}

Daemon::Daemon(Instance instance, std::unique_ptr<EventLoop> loop, UniqueFd lock, RouterConfig config, Store store,
               Cgroups cgroups)
    : instance_(std::move(instance)),
      loop_(std::move(loop)),
      lock_(std::move(lock)),
      config_(std::move(config)),
      table_size_(config_.tables.rules),
      store_(std::move(store)),
      cgroups_(std::move(cgroups)) {}

Result<std::unique_ptr<Daemon>> Daemon::assemble(const Instance& instance, UniqueFd lock, RouterConfig config) {
    auto store = Store::open(instance);
    if (!store) {
        return std::move(store).error();
    }
    auto loop = EventLoop::open();
    if (!loop) {
        return std::move(loop).error();
    }
    auto cgroups = Cgroups::open(instance.name);
    if (!cgroups) {
        return std::move(cgroups).error();
    }
    return std::unique_ptr<Daemon>(new Daemon(instance, *std::move(loop), std::move(lock), std::move(config),
                                              *std::move(store), *std::move(cgroups)));
}

Result<std::unique_ptr<Daemon>> Daemon::open(const Instance& instance, const Programs& programs, NewerTables newer) {
    if (auto status = boot_time_is_the_kernels(); !status) {
        return std::move(status).error();
    }
    // Before anything is made: an instance that has none, as by a slip of the pen, leaves nothing in /run.
    auto config = load_router_config(instance);
    if (!config) {
        return std::move(config).error();
    }
    auto lock = take_lock(instance);
    if (!lock) {
        return std::move(lock).error();
    }
    // Once more: a restore may have had the lock until now.
    config = load_router_config(instance);
    if (!config) {
        return std::move(config).error();
    }
    set_log_level(level_of(config->log_level));
    if (auto status = remove_forgotten_staged(instance); !status) {
        log_warn(status.error().what);
    }
    raise_descriptor_limit();
    auto daemon = assemble(instance, *std::move(lock), *std::move(config));
    if (!daemon) {
        return daemon;
    }
    if (auto status = (*daemon)->start(programs, newer); !status) {
        Error error = std::move(status).error();
        // What the kernel refuses so is neither the configuration's fault nor another viscumd's.
        if (error.errno_code == EINVAL || error.errno_code == EBUSY) {
            error.errno_code = EIO;
        }
        return error;
    }
    return daemon;
}

Status Daemon::open_world(const Programs& programs, NewerTables newer) {
    // Blocked before anything is launched, so that none is lost.
    if (auto status = watch_signals(); !status) {
        return status;
    }
    auto home = NetNs::current();
    if (!home) {
        return std::move(home).error();
    }
    auto grade = choose_grade(instance_, config_, newer);
    if (!grade) {
        return std::move(grade).error();
    }
    auto world = LinuxWorld::open(instance_, config_, *std::move(grade));
    if (!world) {
        return std::move(world).error();
    }
    world_ = std::move(*world);
    world_->before_closing([this](int fd) {
        loop_->unwatch(fd);
        std::erase_if(backend_watches_, [fd](const auto& watch) { return watch.second == fd; });
    });
    const uid_t uid = prober_uid(instance_.name);
    prober_ = std::make_unique<Prober>(
        *loop_, ProberSpec{programs.prober, uid, uid, [](const std::string& text) { log_warn(text); }});
    const auto changed = [this] {
        if (reconciler_) {
            reconciler_->touch();
        }
    };
    context_ = std::make_unique<RunContext>(RunContext{*loop_, *world_, instance_, cgroups_, *prober_, *std::move(home),
                                                       config_.aliases, programs.shim, changed, &failovers_});
    services_ = std::make_unique<Services>(
        *context_, store_, [this](std::uint64_t client, const Response& response) { answer(client, response); });
    reconciler_ = std::make_unique<Reconciler>(*loop_, *world_, *services_);
    return {};
}

ClaimCheck Daemon::claim_check() {
    return [this, own = world_->own_networks()](const auto& service,
                                                const auto& others) -> Result<std::vector<std::string>> {
        if (!own) {
            return own.error().in("cannot read the router's own addresses");
        }
        auto against = check_claims(service, config_, *own, others);
        if (service.egress.any() && !world_->grade().has_egress()) {
            against.push_back(cat("'egress' needs the grade socket, and this router has ", world_->grade().name(), ": ",
                                  world_->grade().reason()));
        }
        return against;
    };
}

void Daemon::warn(const std::vector<std::string>& problems) {
    for (const auto& problem : problems) {
        log_warn(problem);
    }
}

Status Daemon::uninstall(const Instance& instance, NewerTables newer) {
    if (access(instance.run_dir().c_str(), F_OK) != 0 && access(instance.bpf_dir().c_str(), F_OK) != 0) {
        return {};
    }
    auto lock = take_lock(instance);
    if (!lock) {
        return std::move(lock).error();
    }
    // Tables of the size that they have, where that is known: they are adopted then.
    RouterConfig config;
    if (const auto known = load_router_config(instance)) {
        config.tables = known->tables;
        config.datapath = known->datapath;
    }
    // Without a LAN and without files: what is there is unwanted, and the reconciler takes it down.
    auto assembled = assemble(instance, *std::move(lock), std::move(config));
    if (!assembled) {
        return std::move(assembled).error();
    }
    Daemon& daemon = **assembled;
    if (auto status = daemon.open_world({}, newer); !status) {
        return status;
    }
    std::vector<std::string> problems;
    if (auto status = daemon.services_->dissolve(&problems); !status) {
        return status;
    }
    daemon.warn(problems);
    daemon.loop_->each_turn([&daemon] {
        daemon.reconciler_->turn();
        const auto left = daemon.reconciler_->actual();
        const bool attached =
            left && std::any_of(left->lan.begin(), left->lan.end(), [](const auto& lan) { return lan.second; });
        if (daemon.services_->all().empty() && left && !attached) {
            daemon.loop_->stop();
        }
    });
    daemon.loop_->after(Millis(0), [] {});
    bool late = false;
    daemon.loop_->after(kUninstallLimit, [&daemon, &late] {
        late = true;
        daemon.loop_->stop();
    });
    if (auto status = daemon.loop_->run(); !status || late) {
        return late ? Status{Error{ETIMEDOUT, "something cannot be taken away; see the messages before"}} : status;
    }
    // Also one that was made for other aliases than the file has now.
    if (auto status = remove_masquerade(instance.name); !status && status.error().errno_code != EOPNOTSUPP) {
        return status;
    }
    if (auto status = remove_pins(instance.bpf_dir()); !status) {
        return status;
    }
    for (const auto& dir : {instance.runs_dir(), instance.log_dir(), instance.run_dir(), observe_dir(instance)}) {
        if (auto status = remove_directory(dir); !status) {
            return status;
        }
    }
    return {};
}

Status Daemon::start(const Programs& programs, NewerTables newer) {
    if (auto status = open_world(programs, newer); !status) {
        return status;
    }
    open_journal();
    std::vector<std::string> problems;
    if (auto status = services_->load(claim_check(), &problems); !status) {
        return status;
    }
    warn(problems);
    tell_start();
    renew_lease();
    if (auto status = watch_names(); !status) {
        return status;
    }
    if (auto status = watch_router(); !status) {
        return status;
    }
    loop_->each_turn([this] { turn(); });
    // Rules and filters are whole before the first request.
    turn();
    savings_ = std::make_unique<Savings>(Savings::Sources{*loop_, instance_, *services_, *world_, failovers_, config_});
    auto server = Server::open(
        *loop_, instance_.socket_path(),
        [this](ClientId client, const Request& request) { on_request(client, request); },
        [this](ClientId client) {
            services_->forget_client(client);
            pending_.erase(client);
            finished_.erase(client);
        });
    if (!server) {
        return std::move(server).error();
    }
    server_ = std::move(*server);
    observers_ = std::make_unique<Observers>(
        *loop_, instance_, [this] { return to_json(report_daemon(*services_, *world_, *context_, lease_until_, "")); });
    observers_->look();
    // After the socket: of few descriptors that needs one first.
    if (auto status = keep_files(); !status) {
        pins_.reset();
        log_warn(cat("what another tool removes of viscumd's files is not put back: ", status.error().what));
    }
    return {};
}

Status Daemon::keep_files() {
    std::vector<Keeper::Thing> things;
    if (access(instance_.bpf_dir().c_str(), F_OK) == 0) {  // the classic grade has none
        auto pins = KeptPins::open(instance_.bpf_dir());
        if (!pins) {
            return std::move(pins).error();
        }
        pins_ = std::move(*pins);
        const auto restore_pins = [this]() -> Result<bool> {
            const auto restored = pins_->restore();
            return restored ? Result<bool>(*restored > 0) : Result<bool>(restored.error());
        };
        things.push_back({cat("pins in ", pins_->directory()), pins_->directory(), restore_pins});
    }
    // Before the socket, which lies in the same directory.
    things.push_back({cat("'", instance_.lock_file(), "'"), instance_.run_dir(), [this] { return keep_lock(); }});
    things.push_back({cat("'", instance_.socket_path(), "'"), instance_.run_dir(),
                      [this] { return may_serve_ ? server_->listen_again() : Result<bool>(false); }});
    auto keeper = Keeper::open(*loop_, std::move(things));
    if (!keeper) {
        return std::move(keeper).error();
    }
    keeper_ = std::move(*keeper);
    return {};
}

/// Without the file the next viscumd would not know of this one.
Result<bool> Daemon::keep_lock() {
    struct stat held {};
    struct stat found {};
    if (!may_serve_) {
        return false;
    }
    // To open our own file once more and close it would give up the lock (fcntl(2)).
    if (fstat(lock_.get(), &held) != 0 || (stat(instance_.lock_file().c_str(), &found) != 0 && errno != ENOENT)) {
        return errno_error(cat("cannot look at '", instance_.lock_file(), "'"));
    }
    if (held.st_ino == found.st_ino && held.st_dev == found.st_dev) {
        return false;
    }
    auto lock = take_lock(instance_);
    if (!lock) {
        if (lock.error().errno_code == EBUSY) {
            may_serve_ = std::move(lock).error();
            // What is kept is the other one's to write from now on.
            journal_->give_up();
            if (savings_) {
                savings_->give_up();
            }
            loop_->stop();  // two of us would take the socket and the rules from each other, for ever
            return false;
        }
        return std::move(lock).error();
    }
    lock_ = *std::move(lock);
    return true;
}

void Daemon::reload() {
    // Whatever viscum.yaml says: a group that is gone is to lose what it could see.
    if (observers_) {
        observers_->look();
    }
    auto config = load_router_config(instance_);
    if (!config) {
        log_error(cat("viscum.yaml is not used, the one before counts: ", config.error().what));
        journal_->note("config-refused", "",
                       cat("viscum.yaml is not used, the one before counts: ", config.error().what));
        return;
    }
    if (config->tables.rules != table_size_ || config->tables != config_.tables ||
        config->aliases != context_->aliases || config->datapath != config_.datapath) {
        log_warn("a change of 'tables', 'aliases' or 'datapath' counts from the next start on");
    }
    config_ = std::move(*config);
    set_log_level(level_of(config_.log_level));
    world_->set_lan(config_.lan);
    renew_lease();
    recheck(true);
    reconciler_->touch();
    log_info("viscum.yaml was read again");
    journal_->note("config", "", "viscum.yaml was read again, and counts from now on");
}

void Daemon::recheck(bool read_files) {
    std::vector<std::string> problems;
    const auto check = claim_check();
    services_->recheck(check, &problems);
    services_->look_again(check, read_files, &problems);
    warn(problems);
}

/// A box without services has no use for it.
void Daemon::rest_prober() {
    for (const auto& [name, service] : services_->all()) {
        for (const auto& run : service.runs) {
            if (run && run->needs_prober()) {
                return;
            }
        }
    }
    prober_->rest();
}

void Daemon::renew_lease() {
    const auto before = lease_until_;
    const auto until =
        config_.lease && world_->grade().has_lease() ? std::optional(boot_now() + *config_.lease) : std::nullopt;
    loop_->cancel(lease_timer_);
    const Millis interval = config_.lease ? Millis(*config_.lease / 3) : kLookInterval;
    feed_watchdog(std::max(3 * interval, kHangLimit));
    lease_timer_ = loop_->after(interval, [this] {
        renew_lease();
        // And with it a look at everything, for what no news told: a new address of the router's may be claimed.
        recheck(false);
        world_->suspect_router();
        if (keeper_) {
            keeper_->look();
        }
        if (observers_) {
            observers_->mend();
        }
        if (savings_) {
            savings_->look();
        }
        reconciler_->touch();
    });
    const auto status = world_->set_lease(until);
    if (status) {
        lease_until_ = until;
    } else {
        log_error(cat("cannot renew the lease: ", status.error().what));
    }
    tell_lease(status, before);
}

void Daemon::feed_watchdog(Millis limit) {
    if (!watchdog_) {
        return;
    }
    if (auto status = watchdog_->feed(limit); !status) {
        log_warn(cat("a hang will not be noticed: ", status.error().what));
        watchdog_.reset();
    }
}

void Daemon::turn() {
    if (services_->is_trial_over()) {
        std::vector<std::string> problems;
        services_->end_trials(claim_check(), &problems);
        warn(problems);
    }
    const WallTime now = wall_now();
    if (savings_ && reconciler_->is_due()) {
        savings_->before_pass();
    }
    if (reconciler_->turn()) {
        failovers_.rules_stand(*services_, boot_now());
        journal_->look(*services_, *world_, failovers_);
        if (savings_) {
            savings_->after_pass();
        }
        watch_backends();
        watch_nft();
        watch_clock(now);
        rest_prober();
    }
    send_finished();
}

Status Daemon::run() {
    // From here on: a start may take its time where there is much to adopt.
    if (auto watchdog = Watchdog::open()) {
        watchdog_.emplace(*std::move(watchdog));
    } else {
        log_warn(cat("a hang will not be noticed: ", watchdog.error().what));
    }
    renew_lease();
    log_info(cat("viscumd serves instance '", instance_.name, "'"));
    give_back_memory();
    auto status = loop_->run();
    if (may_serve_) {
        journal_->finish("viscumd ended; services and rules stay, until the lease ends");
        savings_->finish();
    }
    return may_serve_ ? std::move(status) : may_serve_;
}

}  // namespace viscum
