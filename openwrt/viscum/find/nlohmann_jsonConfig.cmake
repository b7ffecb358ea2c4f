# SPDX-License-Identifier: GPL-2.0-only
# For OpenWrt's build: its package nlohmannjson installs the header without a file for CMake.
find_path(NLOHMANN_JSON_DIR nlohmann/json.hpp REQUIRED)
if(NOT TARGET nlohmann_json::nlohmann_json)
  add_library(nlohmann_json::nlohmann_json INTERFACE IMPORTED)
  target_include_directories(nlohmann_json::nlohmann_json SYSTEM INTERFACE ${NLOHMANN_JSON_DIR})
endif()
