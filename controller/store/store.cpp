// SPDX-License-Identifier: GPL-2.0-only
#include "controller/store/store.h"

#include <unistd.h>

#include <algorithm>

#include "base/file.h"
#include "base/text.h"

namespace viscum {
namespace {

constexpr std::size_t kServiceFileLimit = 256 * 1024;
constexpr std::size_t kStateLimit = 2 * 1024 * 1024;  // 4,095 services, each with a line of every kind
constexpr const char* kMagic = "viscum-state 1 ";
constexpr const char* kYaml = ".yaml";
constexpr const char* kUnfinished = ".new";  // write_file_atomically
constexpr const char* kBefore = "/before";   // below the state directory
constexpr mode_t kPrivateDir = 0750;
constexpr mode_t kFileMode = 0640;

constexpr const char* kInDoubt = "; it may count all the same after a restart";

constexpr const char* kNone = "-";

constexpr std::uint64_t kLargestNumber = 65535;

constexpr std::size_t kTrialFields = 5;

std::string text_of(const VersionTrial& trial) {
    return cat(trial.until_ms, ' ', trial.boot, trial.first ? " first " : " before ",
               trial.image_before.empty() ? kNone : trial.image_before, ' ', trial.digest);
}

/// Of the last fields of a line.
std::optional<VersionTrial> trial_from(const std::vector<std::string>& fields) {
    const auto at = [&](std::size_t index) { return fields[fields.size() - kTrialFields + index]; };
    const auto until = parse_decimal(at(0), UINT64_MAX);
    return until ? std::optional(VersionTrial{*until, at(1), at(2) == "first", at(3) == kNone ? "" : at(3), at(4)})
                 : std::nullopt;
}

std::string body_of(const SavedState& state) {
    std::string body;
    for (const auto& name : state.drained) {
        body += cat("drained ", name, '\n');
    }
    for (const auto& [name, number] : state.numbers) {
        body += cat("number ", name, ' ', number, '\n');
    }
    for (const auto& [name, digest] : state.images) {
        body += cat("image ", name, ' ', digest, '\n');
    }
    for (const auto& [name, trial] : state.trials) {
        body += cat("trial ", name, ' ', text_of(trial), '\n');
    }
    for (const auto& [name, next] : state.next) {
        body += cat("next ", name, ' ', next.digest, ' ', next.image.empty() ? kNone : next.image,
                    next.trial ? cat(' ', text_of(*next.trial)) : "", '\n');
    }
    return body;
}

std::string checksum(std::uint64_t generation, const std::string& body) {
    return hex(fnv1a(cat(generation, '\n', body)), 16);
}

std::string generation_file(const Instance& instance, std::uint64_t generation) {
    return cat(instance.state_dir(), "/state.", generation % 2);
}

struct Newest {
    SavedState state;
    std::uint64_t generation = 0;
};

Newest newest_of(const Instance& instance, std::vector<std::string>* problems) {
    Newest newest;
    std::vector<std::string> broken;
    for (const std::uint64_t parity : {0U, 1U}) {
        const std::string file = generation_file(instance, parity);
        const auto bytes = read_file(file, kStateLimit);
        std::uint64_t generation = 0;
        auto state = bytes ? decode_state(*bytes, &generation) : Result<SavedState>(bytes.error());
        if (state && generation > newest.generation) {
            newest = {*std::move(state), generation};
        } else if (!state && state.error().errno_code != ENOENT) {
            broken.push_back(cat("'", file, "' is not used: ", state.error().what));
        }
    }
    for (const auto& problem : broken) {
        problems->push_back(cat(problem, newest.generation == 0
                                             ? "; no other generation is there, so no service is drained"
                                             : cat("; generation ", newest.generation, " counts")));
    }
    return newest;
}

}  // namespace

std::string encode_state(const SavedState& state, std::uint64_t generation) {
    const std::string body = body_of(state);
    return cat(kMagic, generation, ' ', checksum(generation, body), '\n', body);
}

Result<SavedState> decode_state(const std::string& bytes, std::uint64_t* generation) {
    const auto end = bytes.find('\n');
    if (!bytes.starts_with(kMagic) || end == std::string::npos) {
        return Error{EBADMSG, "no state file"};
    }
    const auto words = split(std::string_view(bytes).substr(0, end), ' ');
    const std::string body = bytes.substr(end + 1);
    const auto number = words.size() == 4 ? parse_decimal(words[2], UINT64_MAX) : std::nullopt;
    if (!number || words[3] != checksum(*number, body)) {
        return Error{EBADMSG, "its checksum does not hold"};
    }
    SavedState state;
    for (const auto& line : split(body, '\n')) {
        const auto fields = split(line, ' ');
        if (fields.size() == 2 && fields[0] == "drained") {
            state.drained.insert(fields[1]);
        } else if (fields.size() == 3 && fields[0] == "image") {
            state.images[fields[1]] = fields[2];
        } else if (fields.size() == 3 && fields[0] == "number") {
            if (const auto value = parse_decimal(fields[2], kLargestNumber)) {
                state.numbers[fields[1]] = static_cast<std::uint32_t>(*value);
            }
        } else if (fields.size() == 2 + kTrialFields && fields[0] == "trial") {
            if (auto trial = trial_from(fields)) {
                state.trials[fields[1]] = *std::move(trial);
            }
        } else if ((fields.size() == 4 || fields.size() == 4 + kTrialFields) && fields[0] == "next") {
            state.next[fields[1]] = {fields[2], fields[3] == kNone ? "" : fields[3],
                                     fields.size() == 4 ? std::nullopt : trial_from(fields)};
        }
    }
    *generation = *number;
    return state;
}

std::string digest_of(const std::string& text) {
    return hex(fnv1a(text), 16);
}

void settle_next(SavedState& state, const std::string& name, const std::string* text) {
    const auto node = state.next.extract(name);
    if (node.empty() || text == nullptr || digest_of(*text) != node.mapped().digest) {
        return;
    }
    const NextVersion& next = node.mapped();
    next.image.empty() ? static_cast<void>(state.images.erase(name))
                       : static_cast<void>(state.images[name] = next.image);
    next.trial ? static_cast<void>(state.trials[name] = *next.trial) : static_cast<void>(state.trials.erase(name));
}

Result<Store> Store::open(const Instance& instance) {
    for (const auto& dir : {instance.services_dir(), instance.state_dir(), instance.state_dir() + kBefore,
                            instance.run_dir(), instance.log_dir(), instance.runs_dir()}) {
        if (auto status = make_directory(dir, kPrivateDir); !status) {
            return std::move(status).error();
        }
    }
    return Store(instance);
}

std::string Store::service_file(const std::string& name) const {
    return cat(instance_.services_dir(), '/', name, kYaml);
}

std::string Store::before_file(const std::string& name) const {
    return cat(instance_.state_dir(), kBefore, '/', name, kYaml);
}

Store::Stored Store::load_services(std::vector<std::string>* problems) const {
    Stored stored;
    const auto names = list_directory(instance_.services_dir());
    if (!names) {
        problems->push_back(names.error().what);
        stored.complete = false;
        return stored;
    }
    for (const auto& file : *names) {
        if (file.ends_with(cat(kYaml, kUnfinished))) {
            // A write that a power cut or a kill interrupted.
            if (auto status = remove_file(cat(instance_.services_dir(), '/', file)); !status) {
                problems->push_back(status.error().what);
            }
        }
        if (!file.ends_with(kYaml)) {
            continue;
        }
        const std::string name = file.substr(0, file.size() - std::string_view(kYaml).size());
        auto text = read_file(service_file(name), kServiceFileLimit);
        if (!text) {
            problems->push_back(text.error().what);
            stored.complete = stored.complete && text.error().errno_code == ENOENT;
            continue;
        }
        stored.services.push_back({name, std::move(*text)});
    }
    return stored;
}

Status Store::save_service(const std::string& name, const std::string& text) {
    const auto before = read_file(service_file(name), kServiceFileLimit);
    // Flash wears: a service that starts as it is on disk costs no write.
    if (before && *before == text && !services_in_doubt_.contains(name)) {
        return {};
    }
    if (auto status = write_file_atomically(service_file(name), text, kFileMode); !status) {
        return put_back(name, before, std::move(status).error());
    }
    services_in_doubt_.erase(name);
    return {};
}

Status Store::remove_service(const std::string& name) {
    const auto before = read_file(service_file(name), kServiceFileLimit);
    if (auto status = remove_file(service_file(name)); !status) {
        return put_back(name, before, std::move(status).error());
    }
    services_in_doubt_.erase(name);
    return {};
}

/// `error`, of a change of a file, of which the last step may have been the one that failed.
Error Store::put_back(const std::string& name, const Result<std::string>& before, Error error) {
    const auto now = read_file(service_file(name), kServiceFileLimit);
    if (now ? before && *now == *before : !before && now.error().errno_code == before.error().errno_code) {
        return error;
    }
    const bool absent = !before && before.error().errno_code == ENOENT;
    const Status done = before   ? write_file_atomically(service_file(name), *before, kFileMode)
                        : absent ? remove_file(service_file(name))
                                 : Status(before.error());
    if (!done) {
        services_in_doubt_.insert(name);
        error.what += kInDoubt;
    }
    return error;
}

bool Store::has_service(const std::string& name) const {
    return access(service_file(name).c_str(), F_OK) == 0 || errno != ENOENT;
}

Result<std::string> Store::service_text(const std::string& name) const {
    return read_file(service_file(name), kServiceFileLimit);
}

Result<bool> Store::keep_before(const std::string& name) {
    const auto text = service_text(name);
    if (!text) {
        return text.error().errno_code == ENOENT ? Result<bool>(false) : text.error();
    }
    const auto status = write_file_atomically(before_file(name), *text, kFileMode);
    return status ? Result<bool>(true) : status.error();
}

Result<std::string> Store::before(const std::string& name) const {
    return read_file(before_file(name), kServiceFileLimit);
}

Status Store::forget_before(const std::string& name) {
    return remove_file(before_file(name));
}

void Store::forget_others_before(const std::map<std::string, VersionTrial>& trials,
                                 std::vector<std::string>* problems) const {
    const std::string dir = instance_.state_dir() + kBefore;
    const auto files = list_directory(dir);
    if (!files) {
        problems->push_back(files.error().what);
        return;
    }
    for (const auto& file : *files) {
        const bool needed = std::any_of(trials.begin(), trials.end(), [&file](const auto& trial) {
            return trial.second.until_ms != 0 && file == trial.first + kYaml;
        });
        if (auto status = needed ? Status{} : remove_file(cat(dir, '/', file)); !status) {
            problems->push_back(status.error().what);
        }
    }
}

SavedState read_state(const Instance& instance, std::vector<std::string>* problems) {
    return newest_of(instance, problems).state;
}

SavedState Store::load_state(std::vector<std::string>* problems) {
    for (const std::uint64_t parity : {0U, 1U}) {
        // Of a write that a power cut or a kill interrupted.
        if (auto status = remove_file(generation_file(instance_, parity) + kUnfinished); !status) {
            problems->push_back(status.error().what);
        }
    }
    Newest newest = newest_of(instance_, problems);
    for (const auto& dir : {instance_.services_dir(), instance_.state_dir()}) {
        if (auto status = sync_directory(dir); !status) {
            problems->push_back(status.error().what);
        }
    }
    generation_ = newest.generation;
    saved_ = newest.state;
    return std::move(newest.state);
}

Status Store::save_state(const SavedState& state) {
    if (state == saved_ && !state_in_doubt_) {
        return {};
    }
    const std::uint64_t next = generation_ + 1;
    const std::string file = generation_file(instance_, next);
    const std::string bytes = encode_state(state, next);
    auto status = write_file_atomically(file, bytes, kFileMode);
    if (status) {
        generation_ = next;
        saved_ = state;
        state_in_doubt_ = false;
        return {};
    }
    Error error = std::move(status).error();
    const auto now = read_file(file, kStateLimit);
    if (now ? *now != bytes : now.error().errno_code == ENOENT) {
        return error;
    }
    // It stands there, and would count after a restart.
    if (write_file_atomically(file, encode_state(saved_, next), kFileMode)) {
        generation_ = next;
    } else {
        state_in_doubt_ = true;
        error.what += kInDoubt;
    }
    return error;
}

}  // namespace viscum
