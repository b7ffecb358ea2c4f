// SPDX-License-Identifier: GPL-2.0-only
// Where a soak takes place: four clients, several services and all their clients' traffic, and what is wanted of them.
#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "tests/faults/soak/growth.h"
#include "tests/faults/soak/load.h"
#include "tests/scene/scene.h"

namespace viscum {

/// The nemesis' services. "web": nginx, both families. "echo": UDP, both families. "net": may begin flows. "box": has a
/// root of its own and little memory.
constexpr std::array<const char*, 4> kServices = {"web", "echo", "net", "box"};

/// The client whose port of the bridge goes up and down.
constexpr int kUnlucky = 4;

/// Small file systems under viscumd's directories, which a step can fill. It must live longer than the scene.
class SmallDisks {
public:
    SmallDisks();
    ~SmallDisks();
    SmallDisks(const SmallDisks&) = delete;
    SmallDisks& operator=(const SmallDisks&) = delete;
    static const std::vector<std::string>& directories();
};

class Stage {
public:
    static constexpr const char* kConfig = "lan: [br-lan]\nlease: 5s\n";

    Stage();
    Stage(const Stage&) = delete;
    Stage& operator=(const Stage&) = delete;

    [[nodiscard]] Scene& scene() { return scene_; }
    [[nodiscard]] Bed& bed() { return scene_.bed(); }
    [[nodiscard]] Viscumd& viscumd() { return scene_.viscumd(); }

    /// In the hotspot's namespace; false where it failed.
    bool command(const Argv& argv);
    /// As the last status had it: viscumd may be away.
    [[nodiscard]] ServiceReport known(const std::string& service);
    /// The service's file with its next version; deploying it is what settle() makes true at last.
    std::string next_file(const std::string& service);

    /// viscumd was ended by a step, or not.
    void expect_viscumd(bool runs) { runs_ = runs; }
    [[nodiscard]] bool expects_viscumd() const { return runs_; }
    /// viscum.yaml is as it was at first. Not read again: a viscumd that starts needs one that is right.
    void mend_config() { scene_.write_config(kConfig); }
    /// Steps that end viscumd, the prober or net's shim are over: what they are is watched for growth.
    void be_steady() { steady_ = true; }
    [[nodiscard]] bool steady() const { return steady_; }

    void start_load();
    /// Everything is as it was before the nemesis came: what is not, a line each. Takes what it takes, and no more than
    /// a minute.
    std::vector<std::string> settle();
    [[nodiscard]] Sample sample();
    /// Ends the clients.
    History stop_load() { return load_.stop(); }
    /// Removes all services.
    void remove_all();

private:
    void start_servers();
    [[nodiscard]] ServiceFile file(const std::string& service) const;
    void poll_status();
    std::optional<Answer> ask_status();
    [[nodiscard]] bool all_served();
    /// Empty where all is as wanted.
    [[nodiscard]] std::string not_served(const DaemonReport& report);
    [[nodiscard]] std::vector<std::string> disk_problems();
    void bring_back(const std::string& service);

    Scene scene_;
    std::map<std::string, int> versions_;
    std::mutex mutex_;
    DaemonReport known_;
    bool runs_ = true;
    bool steady_ = false;
    Load load_;  // last: its threads use the others
};

}  // namespace viscum
