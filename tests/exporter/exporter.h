// SPDX-License-Identifier: GPL-2.0-only
// viscum-exporter beside the scene's viscumd, and readers of it that say exactly what the test wants.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tests/scene/scene.h"
#include "tests/support/endpoint.h"

namespace viscum {

struct HttpAnswer {
    int status = 0;  // 0: none
    std::string head;
    std::string body;
};

class Exporter {
public:
    /// In the hotspot, as root starts it; returns once it listens. It makes viscum-exporter's account where there is
    /// none, so viscumd is to be told (SIGHUP) where it ran before.
    explicit Exporter(Scene& scene, const Argv& more = {}, const std::string& at = "127.0.0.1");

    /// What comes until the exporter closes; `lines` are headers beside Host, each with its CR LF.
    [[nodiscard]] HttpAnswer get(const std::string& path, const std::string& lines = {},
                                 const std::string& host = "127.0.0.1") const;
    /// The value of a sample of /metrics as it is written: "viscum_service_state{service=\"web\",state=\"up\"}".
    [[nodiscard]] std::optional<double> metric(const std::string& sample) const;
    [[nodiscard]] UniqueFd connect() const;
    [[nodiscard]] pid_t pid() const { return program_->pid(); }
    [[nodiscard]] bool running() const { return program_->running(); }
    [[nodiscard]] static std::string log();

    static constexpr std::uint16_t kPort = 9477;
    static constexpr const char* kProgram = VISCUM_BIN_DIR "/viscum-exporter";

private:
    Scene& scene_;
    Endpoint at_;
    std::optional<Program> program_;
};

/// A scene whose viscumd began with the account there.
std::unique_ptr<Scene> scene_with_observers();

/// The sample's value in a text of metrics.
std::optional<double> sample_in(const std::string& text, const std::string& sample);

}  // namespace viscum
