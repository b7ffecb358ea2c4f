// SPDX-License-Identifier: GPL-2.0-only
// There is no room left where viscumd and its services write.
#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <filesystem>

#include "base/file.h"
#include "base/unique_fd.h"
#include "tests/faults/oracle/oracle.h"
#include "tests/scene/scene.h"
#include "tests/support/oci_image.h"

namespace viscum {
namespace {

constexpr const char* kNoRoom = "No space left on device";

/// 64 KiB of disk on a directory, as long as this object lives.
class SmallDisk {
public:
    explicit SmallDisk(std::string directory) : directory_(std::move(directory)) {
        must(make_directory(directory_, 0750));
        REQUIRE(mount("tmpfs", directory_.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "size=64k,mode=0750") == 0);
    }
    ~SmallDisk() { umount2(directory_.c_str(), MNT_DETACH); }
    SmallDisk(const SmallDisk&) = delete;
    SmallDisk& operator=(const SmallDisk&) = delete;

    void fill() const {
        const UniqueFd fd(open(filler().c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
        const std::string bytes(4096, 'x');
        while (write(fd.get(), bytes.data(), bytes.size()) > 0) {
        }
        CHECK(errno == ENOSPC);
    }
    void make_room() const { must(remove_file(filler())); }

private:
    [[nodiscard]] std::string filler() const { return directory_ + "/filler"; }
    std::string directory_;
};

DiskState disk_of(Scene& scene) {
    return must(read_disk_state(scene.viscumd().instance()));
}

/// Refused with the cause, and nothing is different.
void check_refused(Scene& scene, const Argv& verb) {
    CAPTURE(join(verb, " "));
    const DiskState before = disk_of(scene);
    const RunOutput output = scene.ctl(verb, 1);
    CHECK(output.err.find(kNoRoom) != std::string::npos);
    CHECK(join(judge_state(disk_of(scene), before, before), "\n") == "");
    CHECK(scene.web() == "local");
}

}  // namespace

TEST_CASE("fault 9: with every disk full what would be written is refused, and all else goes on until there is room") {
    const Instance instance;
    const SmallDisk services(instance.services_dir());
    const SmallDisk state(instance.state_dir());  // the images are below it
    const SmallDisk logs(instance.log_dir());
    const std::vector<const SmallDisk*> disks = {&services, &state, &logs};
    Scene scene;
    must(write_image_layout({{{{.path = "hello", .content = "x"}}}, "{}"}, "/tmp/image", Packing::none));
    scene.deploy(web_service());
    const auto flow = scene.flow();
    for (const SmallDisk* disk : disks) {
        disk->fill();
    }
    check_refused(scene, {"deploy", web_service("2").write()});
    check_refused(scene, {"drain", "web"});
    const auto other = test_service("other", {"203.0.113.20 80"}, {"other", "tcp", "203.0.113.20", "80"});
    check_refused(scene, {"deploy", other.write()});
    CHECK(scene.status("other").name.empty());
    const std::string log = scene.viscumd().log();
    CHECK(log.find(kNoRoom) != std::string::npos);
    CHECK(join(judge_log(log, kNoRoom), "\n").find("beside") == std::string::npos);
    const std::string refused = scene.ctl({"image", "import", "/tmp/image"}, 1).err;
    CHECK(refused.find("too little space") != std::string::npos);
    std::filesystem::remove_all(instance.state_dir() + "/images");
    scene.ctl({"restart", "web"});
    scene.viscumd().kill();
    must(scene.viscumd().start_again());
    CHECK(eventually(kLimit, [&] { return scene.status("web").admission == "serve"; }));
    for (const SmallDisk* disk : disks) {
        disk->make_room();
    }
    scene.deploy(web_service("2"));
    scene.deploy(other);
    scene.ctl({"drain", "web"});
    CHECK(disk_of(scene).state.drained.contains("web"));
    state.fill();
    // Its file goes all the same. What the state has of it is forgotten when there is room.
    scene.ctl({"remove", "web"});
    state.make_room();
    scene.ctl({"remove", "other"});
    CHECK(disk_of(scene).state == SavedState{});
    scene.deploy(web_service());
    CHECK(scene.web() == "local");
    check_flow("full disks", flow->stop());
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

}  // namespace viscum
