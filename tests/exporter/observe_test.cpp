// SPDX-License-Identifier: GPL-2.0-only
// The socket for those who may look: who gets in, what is answered, and that nobody can hold viscumctl up by it.
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <vector>

#include "controller/ipc/client.h"
#include "controller/ipc/observe.h"
#include "tests/exporter/as_account.h"
#include "tests/scene/scene.h"

namespace viscum {
namespace {

using namespace std::chrono_literals;

constexpr int kRefusedPath = 101;   // the file system's modes
constexpr int kHungUp = 102;        // viscumd itself
constexpr int kOtherFailure = 103;  //
constexpr int kNoReport = 104;      //

/// The code of viscumd's answer, or one of the above.
int ask(const std::string& path, const Request& request) {
    auto client = Client::connect(path);
    if (!client) {
        return client.error().errno_code == EACCES ? kRefusedPath : kOtherFailure;
    }
    const auto answer = client->ask(request, [](const Response&) {});
    if (!answer) {
        return answer.error().errno_code == ECONNRESET ? kHungUp : kOtherFailure;
    }
    if (answer->code != Code::done) {
        return static_cast<int>(answer->code);
    }
    return daemon_report_from_json(answer->report) ? 0 : kNoReport;
}

Request verb(const std::string& name) {
    Request request;
    request.verb = name;
    return request;
}

std::string socket_of(const Scene&) {
    return observe_socket(Instance{});
}

UniqueFd connect_to(const std::string& path) {
    UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, path.size());
    return connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ? std::move(fd)
                                                                                               : UniqueFd();
}

}  // namespace

TEST_CASE("observe: root and the exporter's group get the report, others do not get in") {
    make_observer_account();
    Scene scene;
    const std::string path = socket_of(scene);
    CHECK(ask(path, verb("status")) == 0);
    CHECK(ask(path, verb("list")) == 0);
    CHECK(as_account(kObserver, kObserver, [&] { return ask(path, verb("status")); }) == 0);
    CHECK(as_account(kStranger, kStranger, [&] { return ask(path, verb("status")); }) == kRefusedPath);
    // Nor where the modes would let them.
    REQUIRE(chmod(observe_dir(Instance{}).c_str(), 0755) == 0);
    REQUIRE(chmod(path.c_str(), 0666) == 0);
    CHECK(as_account(kStranger, kStranger, [&] { return ask(path, verb("status")); }) == kHungUp);
    // And the group does not get any further.
    CHECK(as_account(kObserver, kObserver, [&] { return ask(Instance{}.socket_path(), verb("status")); }) ==
          kRefusedPath);
}

TEST_CASE("observe: every verb but list and status is refused, whoever asks") {
    make_observer_account();
    Scene scene;
    scene.deploy(web_service());
    const std::string path = socket_of(scene);
    for (const auto* name : {"deploy", "remove", "drain", "resume", "restart", "exec-info", "plan", "version", "audit",
                             "images", "confirm", "", "Status"}) {
        CAPTURE(name);
        Request request = verb(name);
        request.service = "web";
        CHECK(ask(path, request) == static_cast<int>(Code::refused));
    }
    CHECK(scene.status("web").state == "up");
    Request large = verb("status");
    large.files = {{"a", std::string(8'000, 'a')}};
    CHECK(ask(path, large) == kHungUp);
}

TEST_CASE("observe: a hundred connections are no harm to viscumctl") {
    make_observer_account();
    Scene scene;
    scene.deploy(web_service());
    const std::string path = socket_of(scene);
    std::vector<UniqueFd> held;
    const std::string asks = encode(verb("status"));
    for (int number = 0; number < 100; ++number) {
        held.push_back(connect_to(path));
        if (held.back() && number % 2 == 0) {
            for (int again = 0; again < 50; ++again) {
                (void)send(held.back().get(), asks.data(), asks.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
            }
        }
        if (number % 10 == 0) {
            scene.ctl({"list"});
        }
    }
    scene.ctl({"drain", "web"});
    scene.ctl({"resume", "web"});
    CHECK(scene.status("web").health == "healthy");
    CHECK(eventually(kLimit, [&] { return ask(path, verb("status")) == 0; }));
}

TEST_CASE("observe: without the group there is no socket, and it opens when the group comes") {
    remove_observer_account();
    Scene scene;
    const std::string path = socket_of(scene);
    CHECK(access(path.c_str(), F_OK) != 0);
    make_observer_account();
    REQUIRE(kill(scene.viscumd().pid(), SIGHUP) == 0);
    CHECK(eventually(kLimit, [&] { return access(path.c_str(), F_OK) == 0; }));
    REQUIRE(unlink(path.c_str()) == 0);
    REQUIRE(kill(scene.viscumd().pid(), SIGHUP) == 0);
    CHECK(eventually(kLimit, [&] { return ask(path, verb("status")) == 0; }));
    CHECK(as_account(kObserver, kObserver, [&] { return ask(path, verb("status")); }) == 0);
}

TEST_CASE("observe: a group that goes takes the socket along, and what was open by it") {
    make_observer_account();
    Scene scene;
    const std::string path = socket_of(scene);
    const UniqueFd held = connect_to(path);
    REQUIRE(held);
    remove_observer_account();
    // The next account may get the number: also where there is something else that viscumd cannot use.
    scene.write_config("lan: what is no list\n");
    REQUIRE(kill(scene.viscumd().pid(), SIGHUP) == 0);
    CHECK(eventually(kLimit, [] { return access(observe_dir(Instance{}).c_str(), F_OK) != 0; }));
    char byte = 0;
    const auto got = recv(held.get(), &byte, 1, MSG_DONTWAIT);
    CHECK((got == 0 || errno == ECONNRESET));  // the second: it was not accepted yet
    CHECK(as_account(kObserver, kObserver, [&] { return ask(path, verb("status")); }) == kOtherFailure);
    scene.ctl({"list"});
    make_observer_account();
    REQUIRE(kill(scene.viscumd().pid(), SIGHUP) == 0);
    CHECK(eventually(kLimit, [&] { return ask(path, verb("status")) == 0; }));
    // What a viscumd that was ended left behind goes with the group as well.
    scene.write_config("lan: [br-lan]\n");
    scene.viscumd().kill();
    remove_observer_account();
    must(scene.viscumd().start_again());
    CHECK(eventually(kLimit, [] { return access(observe_dir(Instance{}).c_str(), F_OK) != 0; }));
}

TEST_CASE("observe: a group that came back with another number gets the socket, and the number of before loses it") {
    make_observer_account();
    Scene scene;
    const std::string path = socket_of(scene);
    CHECK(as_account(kObserver, kObserver, [&] { return ask(path, verb("status")); }) == 0);
    remove_observer_account();
    make_observer_account(kNewObserver);
    REQUIRE(kill(scene.viscumd().pid(), SIGHUP) == 0);
    CHECK(eventually(kLimit, [&] {
        return as_account(kNewObserver, kNewObserver, [&] { return ask(path, verb("status")); }) == 0;
    }));
    CHECK(as_account(kObserver, kObserver, [&] { return ask(path, verb("status")); }) == kRefusedPath);
    REQUIRE(chmod(observe_dir(Instance{}).c_str(), 0755) == 0);
    REQUIRE(chmod(path.c_str(), 0666) == 0);
    CHECK(as_account(kObserver, kObserver, [&] { return ask(path, verb("status")); }) == kHungUp);
    remove_observer_account();
}

TEST_CASE("observe: an uninstallation takes the socket away") {
    make_observer_account();
    Scene scene;
    CHECK(access(observe_dir(Instance{}).c_str(), F_OK) == 0);
    scene.viscumd().stop();
    must(output_of({VISCUM_BIN_DIR "/viscumd", "--uninstall"}, {.ns = &scene.bed().hotspot()}));
    CHECK(access(observe_dir(Instance{}).c_str(), F_OK) != 0);
}

}  // namespace viscum
