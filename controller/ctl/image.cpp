// SPDX-License-Identifier: GPL-2.0-only
#include "controller/ctl/image.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "base/text.h"
#include "controller/ctl/image_program.h"
#include "controller/ctl/render.h"

namespace viscum {
namespace {

int refuse_name(const Session& session, const std::string& name) {
    return fail(session.console, Code::invalid, cat("'", name, "' is no name of an image"), "it begins with '-'");
}

/// The digests in use, of lines "DIGEST SERVICE"; nullopt: these are none.
std::optional<std::set<std::string>> digests_of(const std::vector<std::string>& lines) {
    std::set<std::string> digests;
    for (const auto& line : lines) {
        const auto digest = line.substr(0, line.find(' '));
        if (digest.empty() || digest.find_first_not_of("0123456789abcdef") != std::string::npos) {
            return std::nullopt;
        }
        digests.insert(digest);
    }
    return digests;
}

/// The images in use, a line each; with `force` none where viscumd does not tell.
Response ask_used(const Session& session, const std::string& what, const std::string& hint, bool force) {
    Request request;
    request.verb = "images";
    Response answer = ask(session, request);
    if (answer.code == Code::done) {
        return answer;
    }
    if (force) {
        return Response{};
    }
    answer.message = cat("cannot know ", what, ": ", answer.message);
    answer.hint = hint.empty() ? answer.hint : hint;
    return answer;
}

/// `words`, with what viscum-image must not remove.
int run_with_used(const Session& session, std::vector<std::string> words, const Response& used) {
    if (used.code != Code::done) {
        return fail(session.console, used);
    }
    const auto digests = digests_of(used.details);
    if (!digests) {
        return fail(session.console, Code::failed, "viscumd's answer cannot be read",
                    "viscumctl and viscumd must be of the same version");
    }
    for (const auto& digest : *digests) {
        words.insert(words.end(), {"--in-use", digest});
    }
    const int code = run_image(session, words);
    if (code == static_cast<int>(Code::refused) && !session.console.json) {
        constexpr std::size_t kShort = 12;
        for (const auto& line : used.details) {
            const auto blank = std::min(line.find(' '), line.size());
            session.console.err(
                cat("  ", line.substr(0, std::min(blank, kShort)), " is used by", printable(line.substr(blank)), "\n"));
        }
    }
    return code;
}

bool is_regular(const std::string& path) {
    struct stat info {};
    return stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

}  // namespace

int image_import(const Session& session, const std::string& file, const std::string& name, const std::string& limit) {
    if (name.starts_with("-")) {
        return refuse_name(session, name);
    }
    std::vector<std::string> words{"import", plain_path(file)};
    if (!name.empty()) {
        words.insert(words.end(), {"--name", name});
    }
    if (!limit.empty()) {
        words.push_back("--limit=" + limit);
    }
    return run_image(session, words);
}

int image_list(const Session& session) {
    return run_image(session, {"list"});
}

int image_remove(const Session& session, const std::string& name, bool force) {
    if (name.starts_with("-")) {
        return refuse_name(session, name);
    }
    const Response used = ask_used(session, cat("whether a service uses image '", name, "'"),
                                   cat("viscumctl image remove ", name, " --force removes it all the same"), force);
    return run_with_used(session, {"remove", name}, used);
}

int image_prune(const Session& session) {
    const Response used = ask_used(session, "which images services use", "", false);
    return run_with_used(session, {"prune"}, used);
}

void prune_quietly(const Session& session) {
    const Response used = ask_used(session, "", "", false);
    const auto digests = digests_of(used.details);
    if (used.code != Code::done || !digests) {
        return;
    }
    auto command = image_command(session, false);
    command.emplace_back("prune");
    for (const auto& digest : *digests) {
        command.insert(command.end(), {"--in-use", digest});
    }
    (void)run_program(std::move(command), true);
}

std::optional<std::string> image_file(const std::string& image, const std::string& file) {
    if (file == "-") {
        return std::nullopt;  // what comes by standard input has nothing beside it
    }
    const auto slash = file.rfind('/');
    std::string path = cat(slash == std::string::npos ? "./" : file.substr(0, slash + 1), image);
    // A directory that only happens to have an image's name is none.
    const bool meant = !image.empty() && (image.ends_with(".tar") || image.ends_with(".oci") || is_regular(path) ||
                                          is_regular(path + "/oci-layout"));
    return meant && access(path.c_str(), F_OK) == 0 ? std::optional(std::move(path)) : std::nullopt;
}

Response import_quietly(const Session& session, const std::string& path, const std::string& name) {
    show_progress(session.console, cat("importing ", path));
    auto command = image_command(session, false);
    command.insert(command.end(), {"import", path, "--name", name});
    const auto end = run_program(std::move(command), true);
    end_progress(session.console);
    Response response;
    if (!end) {
        response.code = Code::failed;
        response.message = end.error().what;
    } else if (end->code != 0) {
        const bool known = end->code > 0 && end->code <= static_cast<int>(Code::no_such_service);
        response.code = known ? static_cast<Code>(end->code) : Code::failed;
        response.message = cat("cannot import image '", name, "'");
        for (const auto& line : split(end->said, '\n')) {
            if (!line.empty()) {
                response.details.push_back(line);
            }
        }
    }
    return response;
}

}  // namespace viscum
