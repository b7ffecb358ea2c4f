// SPDX-License-Identifier: GPL-2.0-only
#include "controller/ctl/image.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <set>

#include "base/file.h"
#include "base/text.h"
#include "base/unique_fd.h"
#include "controller/ctl/render.h"

namespace viscum {
namespace {

constexpr std::size_t kMaxSaid = 4096;

struct ProgramEnd {
    int code = 0;
    std::string said;  // both outputs, where they were captured
};

struct Pipe {
    UniqueFd from;
    UniqueFd to;
};

Result<Pipe> open_pipe() {
    int ends[2] = {-1, -1};
    if (pipe2(static_cast<int*>(ends), O_CLOEXEC) != 0) {
        return errno_error("cannot make a pipe");
    }
    return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

[[noreturn]] void run_in_child(const std::vector<char*>& words, int output, int failure) {
    if (output < 0 || (dup2(output, STDOUT_FILENO) >= 0 && dup2(output, STDERR_FILENO) >= 0)) {
        execv(words.front(), words.data());
    }
    const int code = errno;
    (void)!write(failure, &code, sizeof code);
    _exit(1);
}

int exit_code(int status) {
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/// An error: it could not be run.
Result<ProgramEnd> run_program(std::vector<std::string> command, bool capture) {
    std::vector<char*> words;
    for (auto& word : command) {
        words.push_back(word.data());
    }
    words.push_back(nullptr);
    auto failure = open_pipe();
    auto output = capture ? open_pipe() : Result<Pipe>(Pipe{});
    if (!failure || !output) {
        return failure ? output.error() : failure.error();
    }
    const pid_t child = fork();
    if (child < 0) {
        return errno_error("cannot fork");
    }
    if (child == 0) {
        run_in_child(words, output->to.get(), failure->to.get());
    }
    failure->to.reset();
    output->to.reset();
    ProgramEnd end;
    const std::string code = read_to_end(failure->from.get(), sizeof(int));
    if (capture) {
        end.said = read_to_end(output->from.get(), kMaxSaid);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (code.size() == sizeof(int)) {
        int number = 0;
        std::memcpy(&number, code.data(), sizeof number);
        return errno_error(cat("cannot run '", command.front(), "'"), number);
    }
    end.code = exit_code(status);
    return end;
}

std::vector<std::string> image_command(const Session& session, bool json) {
    std::vector<std::string> command{session.image_program, "--instance", session.instance};
    if (json) {
        command.emplace_back("--json");
    }
    return command;
}

int run_image(const Session& session, const std::vector<std::string>& words) {
    auto command = image_command(session, session.console.json);
    command.insert(command.end(), words.begin(), words.end());
    const auto end = run_program(std::move(command), false);
    return end ? end->code
               : fail(session.console, Code::failed, end.error().what, "viscum-image belongs to the installation");
}

/// Of a file, so that it is never taken for an option.
std::string plain_path(const std::string& path) {
    return path.starts_with("-") ? "./" + path : path;
}

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

std::string find_image_program() {
    std::array<char, PATH_MAX> self{};
    const auto length = readlink("/proc/self/exe", self.data(), self.size());
    if (length > 0 && static_cast<std::size_t>(length) < self.size()) {
        const std::string path(self.data(), static_cast<std::size_t>(length));
        const std::string dir = path.substr(0, path.rfind('/') + 1);
        for (const auto& candidate : {dir + "viscum-image", dir + "../libexec/viscum/viscum-image"}) {
            if (access(candidate.c_str(), X_OK) == 0) {
                return candidate;
            }
        }
    }
    return "/usr/libexec/viscum/viscum-image";
}

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
