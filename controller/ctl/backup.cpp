// SPDX-License-Identifier: GPL-2.0-only
#include "controller/ctl/backup.h"

#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>

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

int refuse_others(const Session& session, const std::string& verb) {
    return fail(session.console, Code::refused, "only root can read and write all of an instance",
                cat("sudo viscumctl ", verb, " ..."));
}

/// "-" is what it says.
std::string file_or_pipe(const std::string& file) {
    return file == "-" ? file : plain_path(file);
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
          dir_(cat(instance_.state_dir(), options.dry_run ? "/restore-dry" : "/restore")) {}
    Restore(const Restore&) = delete;
    Restore& operator=(const Restore&) = delete;
    ~Restore() { [[maybe_unused]] const auto removed = remove_staged(dir_); }

    int run(const std::string& file) {
        auto lock = options_.dry_run ? Result<UniqueFd>(UniqueFd()) : take_lock(instance_);
        if (!lock) {
            return lock.error().errno_code == EBUSY
                       ? fail(session_.console, Code::refused, cat("viscumd runs for instance '", instance_.name, "'"),
                              "stop it first, and services go on meanwhile: systemctl stop viscumd, or: service viscum "
                              "stop")
                       : failed(session_, lock.error());
        }
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
        Diagnostics mistakes;
        const RouterConfig config = read_config(mistakes);
        std::vector<std::string> refused;
        for (const auto& file : head_.files) {
            read_service(file.path, config, mistakes, refused);
        }
        if (!mistakes.empty()) {
            return fail(session_.console, mistakes, "nothing was restored: a file of the backup is invalid");
        }
        if (!refused.empty()) {
            Response response;
            response.code = Code::refused;
            response.message = "nothing was restored: not claimable";
            response.details = refused;
            return fail(session_.console, response);
        }
        const auto compared = compare();
        return compared ? 0 : failed(session_, compared.error());
    }

    RouterConfig read_config(Diagnostics& mistakes) const {
        const auto text = staged(kConfig);
        if (!text) {
            mistakes.push_back({kConfig, 0, 0, "it is not in the backup", ""});
            return {};
        }
        auto parsed = parse_router_config(*text, kConfig);
        if (auto* found = std::get_if<Diagnostics>(&parsed)) {
            std::ranges::move(*found, std::back_inserter(mistakes));
            return {};
        }
        return std::get<RouterConfig>(std::move(parsed));
    }

    void read_service(const std::string& path, const RouterConfig& config, Diagnostics& mistakes,
                      std::vector<std::string>& refused) {
        if (!path.starts_with(kServices)) {
            return;
        }
        const auto text = staged(path);
        auto parsed = parse_service(text ? *text : "", path);
        if (auto* found = std::get_if<Diagnostics>(&parsed)) {
            std::ranges::move(*found, std::back_inserter(mistakes));
            return;
        }
        auto spec = std::get<ServiceSpec>(std::move(parsed));
        if (path != cat(kServices, spec.name, kYaml)) {
            mistakes.push_back({path, 0, 0, cat("it is of a service '", spec.name, "'"), ""});
        }
        for (const auto& sentence : check_claims(spec, config, {}, specs_)) {
            refused.push_back(cat(path, ": ", sentence));
        }
        specs_.push_back(std::move(spec));
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

    /// Of the services that the backup has; what is known of others stays.
    Status mark_drained() {
        auto store = Store::open(instance_);
        if (!store) {
            return std::move(store).error();
        }
        std::vector<std::string> problems;
        auto state = store->load_state(&problems);
        for (const auto& spec : specs_) {
            state.drained.erase(spec.name);
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
    BackupHead head_;
    std::vector<ServiceSpec> specs_;
    std::vector<Change> changes_;
};

}  // namespace

int backup(const Session& session, const std::string& file) {
    if (geteuid() != 0) {
        return refuse_others(session, "backup");
    }
    auto store = Store::open(Instance{session.instance});
    if (!store) {
        return failed(session, store.error());
    }
    std::vector<std::string> problems;
    std::vector<std::string> words{"backup", file_or_pipe(file)};
    for (const auto& service : store->load_state(&problems).drained) {
        if (store->has_service(service)) {
            words.push_back(cat("--drained=", service));
        }
    }
    return run_image(session, words);
}

int restore(const Session& session, const std::string& file, const RestoreOptions& options) {
    return geteuid() == 0 ? Restore(session, options).run(file) : refuse_others(session, "restore");
}

}  // namespace viscum
