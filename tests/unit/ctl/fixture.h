// SPDX-License-Identifier: GPL-2.0-only
// A viscumd that answers what the test tells it to, in a process of its own, and a console that keeps what it is told.
#pragma once

#include <doctest/doctest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/event_loop.h"
#include "controller/ctl/commands.h"
#include "controller/ipc/server.h"

namespace viscum {

struct Desk {
    Desk() {
        char name[] = "/tmp/viscum-ctl-XXXXXX";
        dir = mkdtemp(name);
    }
    ~Desk() {
        if (daemon > 0) {
            kill(daemon, SIGKILL);
            waitpid(daemon, nullptr, 0);
        }
        std::filesystem::remove_all(dir);
    }
    Desk(const Desk&) = delete;
    Desk& operator=(const Desk&) = delete;

    /// From now on `answers` gives the messages that each request is answered with.
    void serve(const std::function<std::vector<Response>(const Request&)>& answers) {
        int ready[2];
        REQUIRE(pipe(ready) == 0);
        daemon = fork();
        if (daemon == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            run_daemon(answers, ready[1]);
        }
        const UniqueFd end(ready[0]);
        UniqueFd(ready[1]).reset();
        char byte = 0;
        REQUIRE(read(end.get(), &byte, 1) == 1);
    }

    Session session(bool json = false) {
        Console console;
        console.out = [this](std::string_view text) { out += text; };
        console.err = [this](std::string_view text) { err += text; };
        console.json = json;
        Session made(Instance{}, dir + "/viscum-image", console);
        made.socket = dir + "/sock";
        made.config = dir + "/viscum.yaml";
        made.logs = dir + "/log";
        made.start = "viscumd";  // whatever this machine has
        return made;
    }

    std::string write(const std::string& name, const std::string& text) const {
        std::ofstream(dir + "/" + name) << text;
        return dir + "/" + name;
    }

    /// What a verb wrote, with the directory's name taken out; forgotten then.
    std::string take(std::string& text) const {
        for (auto at = text.find(dir); at != std::string::npos; at = text.find(dir)) {
            text.replace(at, dir.size(), "DIR");
        }
        return std::exchange(text, "");
    }

    std::string dir;
    std::string out;
    std::string err;
    pid_t daemon = 0;

private:
    [[noreturn]] void run_daemon(const std::function<std::vector<Response>(const Request&)>& answers, int ready) const {
        auto loop = EventLoop::open();
        Server* self = nullptr;
        auto server = Server::open(
            **loop, dir + "/sock",
            [&](ClientId id, const Request& request) {
                for (const auto& answer : answers(request)) {
                    self->send(id, answer);
                }
            },
            [](ClientId) {});
        if (!server) {
            _exit(1);
        }
        self = server->get();
        if (::write(ready, "+", 1) == 1) {
            (void)(*loop)->run();
        }
        _exit(1);
    }
};

inline Response done(std::string message) {
    Response response;
    response.changed = true;
    response.message = std::move(message);
    return response;
}

inline Response step(std::string message) {
    Response response;
    response.final = false;
    response.message = std::move(message);
    return response;
}

inline Response refusal(Code code, std::string message, std::string hint = "") {
    Response response;
    response.code = code;
    response.message = std::move(message);
    response.hint = std::move(hint);
    return response;
}

inline const char* const kPlates = R"(viscum: 1
name: plates
intercept:
  - { address: 203.0.113.10, port: 443, protocol: tcp }
run:
  command: [/usr/bin/plates]
)";

}  // namespace viscum
