// SPDX-License-Identifier: GPL-2.0-only
// The only translation unit that includes spdlog: its templates cost 100 KB each time they are instantiated.
#include "base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>

namespace viscum {
namespace {

spdlog::logger& logger() {
    static const auto instance = [] {
        auto made = std::make_unique<spdlog::logger>("viscum", std::make_shared<spdlog::sinks::stderr_sink_st>());
        made->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %v", spdlog::pattern_time_type::utc);
        made->flush_on(spdlog::level::debug);
        return made;
    }();
    return *instance;
}

}  // namespace

void set_log_level(LogLevel level) {
    switch (level) {
        case LogLevel::debug: logger().set_level(spdlog::level::debug); break;
        case LogLevel::info: logger().set_level(spdlog::level::info); break;
        case LogLevel::warn: logger().set_level(spdlog::level::warn); break;
        case LogLevel::error: logger().set_level(spdlog::level::err); break;
    }
}

void log_debug(std::string_view message) {
    logger().log(spdlog::level::debug, message);
}
void log_info(std::string_view message) {
    logger().log(spdlog::level::info, message);
}
void log_warn(std::string_view message) {
    logger().log(spdlog::level::warn, message);
}
void log_error(std::string_view message) {
    logger().log(spdlog::level::err, message);
}

}  // namespace viscum
