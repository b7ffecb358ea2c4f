// SPDX-License-Identifier: GPL-2.0-only
// A real server and real clients: the server's loop runs in the test, its clients are plain non-blocking sockets or a
// thread with a viscumctl's Client.
#include "controller/ipc/server.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "controller/ipc/client.h"

using namespace viscum;
using namespace std::chrono_literals;

namespace {

template <class T>
T value(Result<T> result) {
    if (!result) {
        FAIL(result.error().what);
        std::abort();
    }
    return *std::move(result);
}

struct Room {
    Room() {
        char name[] = "/tmp/viscum-ipc-XXXXXX";
        dir = mkdtemp(name);
        path = dir + "/sock";
        loop = value(EventLoop::open());
    }
    ~Room() {
        server.reset();
        std::filesystem::remove_all(dir);
    }
    void serve(std::function<void(ClientId, const Request&)> on_request, Millis idle = 5s) {
        server = value(Server::open(
            *loop, path,
            [this, on_request](ClientId id, const Request& request) {
                requests.push_back(request);
                on_request(id, request);
            },
            [this](ClientId id) { gone.push_back(id); }, idle));
    }
    void serve_done(Millis idle = 5s) {
        serve([this](ClientId id, const Request&) { server->send(id, Response{}); }, idle);
    }
    [[nodiscard]] UniqueFd connect(int flags = SOCK_NONBLOCK) const {
        UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, path.size());
        REQUIRE(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
        return fd;
    }
    // Turns the loop until `done`, for 3 s at most.
    bool until(const std::function<bool()>& done) {
        bool reached = false;
        const auto limit = loop->after(3s, [this] { loop->stop(); });
        EventLoop::TimerId tick = 0;
        std::function<void()> look = [&] {
            if ((reached = done())) {
                loop->stop();
            } else {
                tick = loop->after(1ms, look);
            }
        };
        look();
        if (!reached) {
            REQUIRE(loop->run());
        }
        loop->cancel(limit);
        loop->cancel(tick);
        return reached;
    }

    std::string dir;
    std::string path;
    std::unique_ptr<EventLoop> loop;
    std::unique_ptr<Server> server;
    std::vector<Request> requests;
    std::vector<ClientId> gone;
};

// A blocking client beside the loop. Its calls end at the latest with the server, which goes before it.
class Asker {
public:
    Asker(Room& room, std::function<void()> body)
        : room_(room), thread_([this, body = std::move(body)] {
              body();
              done_ = true;
          }) {}
    ~Asker() {
        room_.server.reset();
        thread_.join();
    }
    Asker(const Asker&) = delete;
    Asker& operator=(const Asker&) = delete;
    [[nodiscard]] bool done() const { return done_; }

private:
    Room& room_;
    std::atomic<bool> done_ = false;
    std::thread thread_;
};

struct Peer {
    // True when the other end hung up; what it sent is kept.
    bool ended() {
        char chunk[65536];
        while (true) {
            const auto got = recv(fd.get(), chunk, sizeof chunk, MSG_DONTWAIT);
            if (got == 0 || (got < 0 && errno == ECONNRESET)) {
                return true;
            }
            if (got < 0) {
                return false;
            }
            received += static_cast<std::size_t>(got);
            if (reader.feed({chunk, static_cast<std::size_t>(got)})) {
                while (const auto json = reader.next()) {
                    answers.push_back(*decode_response(*json));
                }
            }
        }
    }
    bool say(std::string_view bytes) {
        return send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
    }
    UniqueFd fd;
    FrameReader reader{};
    std::vector<Response> answers{};
    std::size_t received = 0;
};

Request verb(const std::string& name) {
    Request request;
    request.verb = name;
    return request;
}

Response progress(std::string message) {
    Response response;
    response.final = false;
    response.message = std::move(message);
    return response;
}

std::size_t open_descriptors() {
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
        ++count;
    }
    return count;
}

}  // namespace

TEST_CASE("server: the socket file is for its user alone, and goes with the server") {
    Room room;
    const auto old_mask = umask(0);
    room.serve_done();
    umask(old_mask);
    struct stat info {};
    REQUIRE(stat(room.path.c_str(), &info) == 0);
    CHECK(S_ISSOCK(info.st_mode));
    CHECK((info.st_mode & 07777) == 0600);
    room.server.reset();
    CHECK(stat(room.path.c_str(), &info) != 0);
}

TEST_CASE("server: a stale socket file is replaced, another server's is left, a plain file is not touched") {
    Room room;
    Room other;
    room.serve_done();
    auto second = Server::open(
        *other.loop, room.path, [](ClientId, const Request&) {}, [](ClientId) {});
    REQUIRE(second);
    room.server.reset();
    CHECK(std::filesystem::exists(room.path));
    *second = nullptr;
    CHECK_FALSE(std::filesystem::exists(room.path));

    std::ofstream(room.path) << "mine";
    auto refused = Server::open(
        *other.loop, room.path, [](ClientId, const Request&) {}, [](ClientId) {});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().errno_code == EEXIST);
    CHECK(std::filesystem::is_regular_file(room.path));
}

TEST_CASE("server: an unusable path is an error") {
    Room room;
    for (const std::string& path : {std::string(), std::string(200, 'x'), room.dir + "/none/sock"}) {
        CHECK_FALSE(Server::open(
            *room.loop, path, [](ClientId, const Request&) {}, [](ClientId) {}));
    }
}

TEST_CASE("client: no daemon is told apart from other errors") {
    Room room;
    auto client = Client::connect(room.path);
    REQUIRE_FALSE(client);
    CHECK(client.error().errno_code == ENOENT);
    {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        room.path.copy(address.sun_path, room.path.size());
        const UniqueFd stale(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        REQUIRE(bind(stale.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    }
    client = Client::connect(room.path);
    REQUIRE_FALSE(client);
    CHECK(client.error().errno_code == ECONNREFUSED);
}

TEST_CASE("client: hands on each progress message, then the final answer; then asks again") {
    Room room;
    room.serve([&room](ClientId id, const Request& request) {
        room.server->send(id, progress("plates: starting"));
        room.loop->after(5ms, [&room, id, request] {
            room.server->send(id, progress("plates: probing"));
            Response last;
            last.code = Code::unhealthy;
            last.message = request.verb;
            room.server->send(id, last);
        });
    });
    std::vector<std::string> seen;
    std::vector<Response> finals;
    Asker asker(room, [&] {
        auto client = Client::connect(room.path);
        for (const auto* name : {"deploy", "remove"}) {
            if (auto answer = client->ask(verb(name), [&](const Response& r) { seen.push_back(r.message); })) {
                finals.push_back(*std::move(answer));
            }
        }
    });
    REQUIRE(room.until([&] { return asker.done(); }));
    REQUIRE(finals.size() == 2);
    CHECK(finals[0].message == "deploy");
    CHECK(finals[1].code == Code::unhealthy);
    CHECK(seen.size() == 4);
    CHECK(room.gone.empty());
}

TEST_CASE("client: an answer of nearly sixteen megabytes arrives whole, a longer one is told to be too long") {
    Room room;
    room.serve([&room](ClientId id, const Request& request) {
        Response response;
        response.report.assign(request.verb == "long" ? kMaxAnswer : kMaxAnswer - 1024, 'r');
        room.server->send(id, response);
    });
    std::vector<Result<Response>> answers;
    Asker asker(room, [&] {
        auto client = Client::connect(room.path);
        answers.push_back(client->ask(verb("list"), [](const Response&) {}));
        answers.push_back(client->ask(verb("long"), [](const Response&) {}));
    });
    REQUIRE(room.until([&] { return asker.done(); }));
    REQUIRE(answers[0]);
    CHECK(answers[0]->report.size() == kMaxAnswer - 1024);
    REQUIRE(answers[1]);
    CHECK(answers[1]->code == Code::failed);
    CHECK(answers[1]->message.starts_with("the answer is too long"));
}

TEST_CASE("client: a daemon that hangs up, or is silent, or sends nonsense is an error, each its own") {
    Room room;
    room.serve([&room](ClientId, const Request& request) {
        if (request.verb == "die") {
            room.loop->after(0ms, [&room] { room.server.reset(); });
        }
    });
    std::vector<int> codes;
    Asker asker(room, [&] {
        auto client = Client::connect(room.path);
        (void)client->limit_silence(20ms);
        codes.push_back(client->ask(verb("wait"), [](const Response&) {}).error().errno_code);
        client = Client::connect(room.path);
        codes.push_back(client->ask(verb("die"), [](const Response&) {}).error().errno_code);
        codes.push_back(client->ask(verb("die"), [](const Response&) {}).error().errno_code);
        Request huge;
        huge.files = {{"f", std::string(kMaxFrame, 'x')}};
        codes.push_back(client->ask(huge, [](const Response&) {}).error().errno_code);
    });
    REQUIRE(room.until([&] { return asker.done(); }));
    CHECK(codes == std::vector<int>{ETIMEDOUT, ECONNRESET, ECONNRESET, EMSGSIZE});
}

TEST_CASE("server: requests sent ahead are answered one after the other, in order") {
    Room room;
    std::vector<ClientId> waiting;
    room.serve([&](ClientId id, const Request&) { waiting.push_back(id); });
    Peer peer{room.connect()};
    REQUIRE(peer.say(encode(verb("one")) + encode(verb("two")) + encode(verb("three"))));
    for (std::size_t i = 1; i <= 3; ++i) {
        REQUIRE(room.until([&] { return room.requests.size() == i; }));
        CHECK(waiting.size() == i);
        room.server->send(waiting.back(), Response{});
    }
    REQUIRE(room.until([&] { return !peer.ended() && peer.answers.size() == 3; }));
    CHECK(room.requests[2].verb == "three");
}

TEST_CASE("server: a client that shuts its sending side down still gets its answers") {
    Room room;
    room.serve([&room](ClientId id, const Request&) {
        room.loop->after(5ms, [&room, id] { room.server->send(id, Response{}); });
    });
    Peer peer{room.connect()};
    REQUIRE(peer.say(encode(verb("one")) + encode(verb("two"))));
    shutdown(peer.fd.get(), SHUT_WR);
    REQUIRE(room.until([&] { return peer.ended(); }));
    CHECK(peer.answers.size() == 2);
    CHECK(room.gone.empty());
}

TEST_CASE("server: a client that goes while its request runs is told of, once, and any answer to it is dropped") {
    Room room;
    ClientId asked = 0;
    room.serve([&](ClientId id, const Request&) { asked = id; });
    {
        Peer peer{room.connect()};
        REQUIRE(peer.say(encode(verb("deploy"))));
        REQUIRE(room.until([&] { return asked != 0; }));
    }
    REQUIRE(room.until([&] { return !room.gone.empty(); }));
    room.server->send(asked, progress("nobody listens"));
    room.server->send(asked, Response{});
    room.server->send(9999, Response{});
    CHECK(room.gone == std::vector<ClientId>{asked});
}

TEST_CASE("server: a request whose sender is gone already still counts, and an idle client's end is no news") {
    Room room;
    room.serve([](ClientId, const Request&) {});
    { Peer idle{room.connect()}; }
    {
        Peer peer{room.connect()};
        REQUIRE(peer.say(encode(verb("drain"))));
    }
    REQUIRE(room.until([&] { return room.gone.size() == 1; }));
    CHECK(room.requests.size() == 1);
}

TEST_CASE("server: sending to a client that is gone calls nobody back at once") {
    Room room;
    ClientId asked = 0;
    room.serve([&](ClientId id, const Request&) { asked = id; });
    auto peer = std::make_unique<Peer>(Peer{room.connect()});
    REQUIRE(peer->say(encode(verb("deploy"))));
    REQUIRE(room.until([&] { return asked != 0; }));
    peer.reset();
    room.server->send(asked, progress("nobody listens"));
    CHECK(room.gone.empty());
    REQUIRE(room.until([&] { return !room.gone.empty(); }));
}

TEST_CASE("server: hostile bytes cost the sender its connection and nobody else's") {
    Room room;
    room.serve_done();
    Peer fine{room.connect()};
    for (const auto& bytes : {std::string("\x40\0\0\0", 4), std::string(4, '\0'), std::string("GET / HTTP/1.1\r\n\r\n"),
                              encode(verb("x")) + std::string(4, '\0')}) {
        Peer peer{room.connect()};
        REQUIRE(peer.say(bytes));
        REQUIRE(room.until([&] { return peer.ended(); }));
    }
    // Well framed nonsense is answered.
    Peer peer{room.connect()};
    REQUIRE(peer.say(std::string("\0\0\0\2[]", 6)));
    REQUIRE(room.until([&] { return !peer.ended() && peer.answers.size() == 1; }));
    CHECK(peer.answers[0].code == Code::failed);
    CHECK(peer.answers[0].message == "invalid request: not an object");
    REQUIRE(fine.say(encode(verb("list"))));
    REQUIRE(room.until([&] { return !fine.ended() && fine.answers.size() == 1; }));
}

TEST_CASE("server: no whole request in time closes, a request that runs does not") {
    Room room;
    std::vector<ClientId> asked;
    room.serve([&](ClientId id, const Request&) { asked.push_back(id); }, 30ms);
    Peer silent{room.connect()};
    Peer partial{room.connect()};
    Peer busy{room.connect()};
    REQUIRE(partial.say(encode(verb("list")).substr(0, 20)));
    REQUIRE(busy.say(encode(verb("deploy"))));
    REQUIRE(room.until([&] { return silent.ended() && partial.ended(); }));
    CHECK_FALSE(busy.ended());
    REQUIRE(asked.size() == 1);
    room.server->send(asked[0], Response{});
    REQUIRE(room.until([&] { return busy.ended(); }));
    CHECK(busy.answers.size() == 1);
    CHECK(room.gone.empty());
}

TEST_CASE("server: of sixteen clients the oldest that waits for nothing makes room, and where all wait nobody does") {
    Room room;
    room.serve_done();
    std::vector<Peer> peers;
    for (int i = 0; i < 16; ++i) {
        peers.push_back(Peer{room.connect()});
        REQUIRE(peers.back().say(encode(verb("list"))));
        REQUIRE(room.until([&] { return !peers.back().ended() && peers.back().answers.size() == 1; }));
    }
    Peer one_more{room.connect()};
    REQUIRE(one_more.say(encode(verb("list"))));
    REQUIRE(room.until([&] { return !one_more.ended() && one_more.answers.size() == 1; }));
    CHECK(peers.front().ended());
    for (std::size_t i = 1; i < peers.size(); ++i) {
        CHECK_FALSE(peers[i].ended());
    }
}

TEST_CASE("server: sixteen clients that wait for their answers keep their places") {
    Room room;
    std::vector<ClientId> asked;
    room.serve([&](ClientId id, const Request&) { asked.push_back(id); });
    std::vector<Peer> peers;
    for (std::size_t i = 0; i < 16; ++i) {
        peers.push_back(Peer{room.connect()});
        REQUIRE(peers.back().say(encode(verb("deploy"))));
        REQUIRE(room.until([&] { return asked.size() == i + 1; }));
    }
    Peer one_more{room.connect()};
    REQUIRE(room.until([&] { return one_more.ended(); }));
    room.server->send(asked[3], Response{});
    REQUIRE(room.until([&] { return !peers[3].ended() && peers[3].answers.size() == 1; }));
    Peer again{room.connect()};
    REQUIRE(again.say(encode(verb("deploy"))));
    REQUIRE(room.until([&] { return asked.size() == 17; }));
}

TEST_CASE("server: a client that does not read its answers is closed, and what waits for it is bounded") {
    Room room;
    ClientId asked = 0;
    room.serve([&](ClientId id, const Request&) { asked = id; });
    Peer peer{room.connect()};
    REQUIRE(peer.say(encode(verb("deploy"))));
    REQUIRE(room.until([&] { return asked != 0; }));
    const std::string chatter(1024, 'x');
    std::size_t sent = 0;
    REQUIRE(room.until([&] {
        for (int i = 0; i < 16 && room.gone.empty(); ++i, ++sent) {
            room.server->send(asked, progress(chatter));
        }
        return !room.gone.empty();
    }));
    CHECK(sent * chatter.size() < 2 * kMaxFrame);
    REQUIRE(room.until([&] { return peer.ended(); }));
}

TEST_CASE("server: descriptors that a client passes are not kept") {
    Room room;
    room.serve_done();
    Peer peer{room.connect()};
    const auto before = open_descriptors();
    const std::string bytes = encode(verb("list"));
    iovec part{const_cast<char*>(bytes.data()), bytes.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    const int passed = 0;
    std::memcpy(CMSG_DATA(header), &passed, sizeof passed);
    REQUIRE(sendmsg(peer.fd.get(), &message, 0) == static_cast<ssize_t>(bytes.size()));
    REQUIRE(room.until([&] { return !peer.ended() && peer.answers.size() == 1; }));
    CHECK(open_descriptors() == before + 1);  // the server's end of the connection
}
