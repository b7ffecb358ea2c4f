// SPDX-License-Identifier: GPL-2.0-only
#include "controller/ctl/image_program.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "base/file.h"
#include "base/text.h"
#include "base/unique_fd.h"

namespace viscum {
namespace {

constexpr std::size_t kMaxSaid = 4096;

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

std::string plain_path(const std::string& path) {
    return path.starts_with("-") ? "./" + path : path;
}

}  // namespace viscum
