// SPDX-License-Identifier: GPL-2.0-only
#include "controller/ctl/backup.h"

#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>
#include <variant>

#include "base/file.h"
#include "base/text.h"
#include "controller/backup/head.h"
#include "controller/backup/staged.h"
#include "controller/ctl/image_program.h"
#include "controller/ctl/render.h"
#include "controller/image/image.h"
#include "controller/ipc/json.h"
#include "controller/spec/check.h"
#include "controller/store/instance_lock.h"
#include "controller/store/store.h"

namespace viscum {
namespace {

constexpr const char* kConfig = "etc/viscum.yaml";
constexpr const char* kServices = "etc/services/";
constexpr const char* kYaml = ".yaml";
constexpr mode_t kOpenDirectory = 0755;
constexpr mode_t kSecretDirectory = 0700;
constexpr mode_t kStateDirectory = 0750;

int refuse_others(const Session& session, const std::string& verb) {
    return fail(session.console, Code::refused, "only root can read and write all of an instance",
                cat("sudo viscumctl ", verb, " ..."));
}

/// "-" is what it says.
std::string file_or_pipe(const std::string& file) {
    return file == "-" ? file : plain_path(file);
}

/// "web" of "etc/services/web.yaml"; empty: it is no service file.
std::string service_of(const std::string& path) {
    const std::string_view name(path);
    const auto prefix = std::string_view(kServices).size();
    return name.starts_with(kServices) && name.ends_with(kYaml)
               ? std::string(name.substr(prefix, name.size() - prefix - std::string_view(kYaml).size()))
               : std::string();
}

int failed(const Session& session, const Error& error) {
    return fail(session.console, Code::failed, error.what, "");
}

struct Change {
    std::string path;  // as in the backup; of a service that goes its place
    std::string word;  // "new", "changed", "same", "kept", "removed"
};

/// A backup that was unpacked and verified, and what is to be done with it.
class Restore {
public:
    Restore(const Session& session, const RestoreOptions& options)
        : session_(session),
          options_(options),
          instance_{session.instance},
          dir_(options.dry_run ? dry_staging_directory(instance_, getpid()) : staging_directory(instance_)) {}
    Restore(const Restore&) = delete;
    Restore& operator=(const Restore&) = delete;
    ~Restore() {
        // Not of another restore, which has the lock that this one did not get.
        if (staging_) {
            [[maybe_unused]] const auto removed = remove_staged(dir_);
        }
        if (made_state_directory_) {
            rmdir(instance_.state_dir().c_str());  // where nothing came to be in it
        }
    }

    int run(const std::string& file) {
        auto lock = options_.dry_run ? Result<UniqueFd>(UniqueFd()) : take_lock(instance_);
        if (!lock) {
            return lock.error().errno_code == EBUSY
                       ? fail(session_.console, Code::refused,
                              cat("viscumd, or another restore, has instance '", instance_.name, "'"),
                              "stop viscumd first, and services go on meanwhile: systemctl stop viscumd, or: service "
                              "viscum stop")
                       : failed(session_, lock.error());
        }
        lock_ = *std::move(lock);
        made_state_directory_ = access(instance_.state_dir().c_str(), F_OK) != 0;
        if (auto made = make_directory(instance_.state_dir(), kStateDirectory); !made) {
            return failed(session_, made.error());
        }
        staging_ = true;
        if (const int code = run_image(session_, {"backup-stage", file_or_pipe(file), dir_}); code != 0) {
            return code;
        }
        if (const int code = judge(); code != 0) {
            return code;
        }
        const auto done = options_.dry_run ? Status() : put_in_place();
        return done ? tell() : failed(session_, done.error().in("the restore is not complete: run it once more"));
    }

private:
    [[nodiscard]] Result<std::string> staged(const std::string& path) const {
        return read_file(cat(dir_, '/', path), kMaxBackupFile);
    }

    /// Reads what was unpacked as a deploy would; 0, or the exit code of what stands against it.
    int judge() {
        const auto text = staged(kBackupHead);
        auto head = text ? decode_backup(*text) : Result<BackupHead>(text.error());
        if (!head) {
            return failed(session_, head.error());
        }
        head_ = *std::move(head);
        if (const auto compared = compare(); !compared) {
            return failed(session_, compared.error());
        }
        const auto parsed = read_config();
        if (const auto* mistakes = std::get_if<Diagnostics>(&parsed)) {
            return fail(session_.console, *mistakes, "nothing was restored: viscum.yaml of the backup is invalid");
        }
        const auto& config = std::get<RouterConfig>(parsed);
        for (const auto& file : head_.files) {
            read_service(file.path, config);
        }
        Response response;
        response.details = judge_kept(config);
        if (!response.details.empty()) {
            response.code = Code::refused;
            response.message = "nothing was restored: what stays could not be served any more";
            return fail(session_.console, response);
        }
        return 0;
    }

    [[nodiscard]] std::variant<RouterConfig, Diagnostics> read_config() const {
        const auto text = staged(kConfig);
        return text ? parse_router_config(*text, kConfig) : Diagnostics{{kConfig, 0, 0, "it is not in the backup", ""}};
    }

    /// What viscumd will not serve comes back all the same, as it was: it may wait for another configuration, or for
    /// another Viscum.
    void read_service(const std::string& path, const RouterConfig& config) {
        if (!path.starts_with(kServices)) {
            return;
        }
        const auto text = staged(path);
        auto parsed = parse_service(text ? *text : "", path);
        if (const auto* mistakes = std::get_if<Diagnostics>(&parsed)) {
            unserved_.push_back(mistakes->front().text());
            return;
        }
        auto& spec = std::get<ServiceSpec>(parsed);
        if (spec.name != service_of(path)) {
            unserved_.push_back(cat(path, ": it is of a service '", spec.name, "'"));
        } else if (const auto against = check_claims(spec, config, {}, specs_); !against.empty()) {
            unserved_.push_back(cat(path, ": ", against.front()));
        } else {
            specs_.push_back(std::move(spec));
        }
    }

    /// What stands against services that stay and are served now: one that claims what a service of the backup claims
    /// would take that one's place.
    [[nodiscard]] std::vector<std::string> judge_kept(const RouterConfig& config) const {
        const auto text = read_file(instance_.config_file(), kMaxBackupFile);
        const auto parsed = parse_router_config(text ? *text : "", instance_.config_file());
        const auto* present = std::get_if<RouterConfig>(&parsed);
        std::vector<std::string> refused;
        for (const auto& change : changes_) {
            const std::string place = place_of(instance_, change.path);
            const auto kept = change.word == "kept" ? read_file(place, kMaxBackupFile) : Result<std::string>("");
            const auto service = parse_service(kept ? *kept : "", place);
            const auto* spec = std::get_if<ServiceSpec>(&service);
            if (spec == nullptr || present == nullptr || !check_claims(*spec, *present, {}, {}).empty()) {
                continue;  // not served now, either
            }
            for (const auto& sentence : check_claims(*spec, config, {}, specs_)) {
                refused.push_back(cat(place, ", which stays without --exact: ", sentence));
            }
        }
        return refused;
    }

    Status compare() {
        for (const auto& file : head_.files) {
            const auto there = read_file(place_of(instance_, file.path), kMaxBackupFile);
            const auto text = staged(file.path);
            if (!text) {
                return text.error();
            }
            changes_.push_back({file.path, there ? (*there == *text ? "same" : "changed") : "new"});
        }
        const auto names = list_directory(instance_.services_dir());
        if (!names) {
            return names.error();
        }
        for (const auto& name : *names) {
            const std::string path = kServices + name;
            if (name.ends_with(kYaml) && std::ranges::find(head_.files, path, &BackupFile::path) == head_.files.end()) {
                changes_.push_back({path, options_.exact ? "removed" : "kept"});
            }
        }
        return {};
    }

    /// Services' own things before services, and viscum.yaml, which lets them in, last.
    Status put_in_place() {
        const auto rank = [](const BackupFile& file) {
            return file.path == kConfig ? 2 : file.path.starts_with(kServices) ? 1 : 0;
        };
        if (auto announced = announce_versions(); !announced) {
            return announced;
        }
        auto files = head_.files;
        std::ranges::stable_sort(files, {}, rank);
        for (const auto& file : files) {
            if (auto placed = place(file); !placed) {
                return placed;
            }
        }
        for (const auto& change : changes_) {
            if (change.word == "removed") {
                if (auto removed = remove_file(place_of(instance_, change.path)); !removed) {
                    return removed;
                }
            }
        }
        return mark_drained();
    }

    Status place(const BackupFile& file) {
        const std::string place = place_of(instance_, file.path);
        const auto text = staged(file.path);
        if (!text) {
            return text.error();
        }
        const bool secret = file.path.starts_with("etc/secrets/");
        auto made = make_directory(place.substr(0, place.rfind('/')), secret ? kSecretDirectory : kOpenDirectory);
        return made ? write_file_atomically(place, *text, secret ? file.mode & kSecretDirectory : file.mode)
                    : std::move(made);
    }

    /// The image and the trial that are known are those of the version that goes: they end with its file.
    Status announce_versions() {
        auto store = Store::open(instance_);
        if (!store) {
            return std::move(store).error();
        }
        auto state = load(*store);
        for (const auto& file : head_.files) {
            const std::string name = service_of(file.path);
            if (name.empty()) {
                continue;
            }
            const auto text = staged(file.path);
            if (!text) {
                return text.error();
            }
            // Of the version that is there; what was announced for it may not be settled yet: no viscumd started since.
            const auto there = read_file(place_of(instance_, file.path), kMaxBackupFile);
            settle_next(state, name, there ? &*there : nullptr);
            const auto image = there && *there == *text ? state.images.find(name) : state.images.end();
            state.next[name] = {digest_of(*text), image == state.images.end() ? "" : image->second, std::nullopt};
        }
        return store->save_state(state);
    }

    SavedState load(Store& store) const {
        std::vector<std::string> problems;
        auto state = store.load_state(&problems);
        for (const auto& problem : problems) {
            session_.console.err(cat("  warning: ", problem, "\n"));
        }
        return state;
    }

    /// Of the services that the backup has; what is known of others stays.
    Status mark_drained() {
        auto store = Store::open(instance_);
        if (!store) {
            return std::move(store).error();
        }
        auto state = load(*store);
        for (const auto& file : head_.files) {
            state.drained.erase(service_of(file.path));
        }
        state.drained.insert(head_.drained.begin(), head_.drained.end());
        return store->save_state(state);
    }

    /// Images are no part of a backup: those that services ask for and that are not here.
    [[nodiscard]] std::vector<std::string> missing_images() const {
        std::set<std::string> missing;
        for (const auto& spec : specs_) {
            if (!spec.run.image.empty() && !find_image(instance_, spec.run.image)) {
                missing.insert(spec.run.image);
            }
        }
        return {missing.begin(), missing.end()};
    }

    int tell() const {
        const auto images = missing_images();
        const bool changed =
            std::ranges::any_of(changes_, [](const auto& each) { return each.word != "same" && each.word != "kept"; });
        const Console& console = session_.console;
        if (console.json) {
            std::map<std::string, std::string> words;
            for (const auto& change : changes_) {
                words[change.path] = change.word;
            }
            JsonOut out;
            out.field("code", std::uint64_t{0});
            out.field("changed", changed);
            out.field("version", head_.version);
            out.field("instance", head_.instance);
            out.field("made", head_.made);
            out.field("files", words);
            out.field("drained", head_.drained);
            out.field("missing_images", images);
            out.field("not_served", unserved_);
            console.out(std::move(out).text() + "\n");
            return 0;
        }
        console.out(cat(options_.dry_run ? "would restore" : "restored", " what instance '", head_.instance,
                        "' was at ", head_.made, ", by Viscum ", head_.version, "\n"));
        for (const auto& change : changes_) {
            console.out(cat("  ", change.word, std::string(9 - change.word.size(), ' '), change.path, "\n"));
        }
        for (const auto& service : head_.drained) {
            console.out(cat("  drained  ", service, "\n"));
        }
        for (const auto& reason : unserved_) {
            console.err(cat("  warning: not to be served: ", reason, "\n"));
        }
        for (const auto& image : images) {
            console.err(cat("  hint: viscumctl image import FILE --name ", image, ", which is not in the store\n"));
        }
        if (!options_.dry_run) {
            console.err("  hint: start viscumd again, and services follow\n");
        }
        return 0;
    }

    const Session& session_;
    RestoreOptions options_;
    Instance instance_;
    std::string dir_;
    UniqueFd lock_;  // until what was unpacked is away
    BackupHead head_;
    std::vector<ServiceSpec> specs_;  // of the backup, which viscumd will serve
    std::vector<std::string> unserved_;
    std::vector<Change> changes_;
    bool staging_ = false;
    bool made_state_directory_ = false;
};

}  // namespace

int backup(const Session& session, const std::string& file) {
    if (geteuid() != 0) {
        return refuse_others(session, "backup");
    }
    const Instance instance{session.instance};
    if (const auto config = place_of(instance, kConfig); access(config.c_str(), R_OK) != 0) {
        return failed(session, errno_error(cat("instance '", instance.name, "' has no '", config, "'")));
    }
    std::vector<std::string> problems;
    std::vector<std::string> words{"backup", file_or_pipe(file)};
    for (const auto& service : read_state(instance, &problems).drained) {
        if (access(place_of(instance, cat(kServices, service, kYaml)).c_str(), F_OK) == 0) {
            words.push_back(cat("--drained=", service));
        }
    }
    for (const auto& problem : problems) {
        session.console.err(cat("  warning: ", problem, "\n"));
    }
    return run_image(session, words);
}

int restore(const Session& session, const std::string& file, const RestoreOptions& options) {
    return geteuid() == 0 ? Restore(session, options).run(file) : refuse_others(session, "restore");
}

}  // namespace viscum
