# SPDX-License-Identifier: GPL-2.0-only
# For OpenWrt's build: CLI11's headers, which the package carries.
if(NOT TARGET CLI11::CLI11)
  add_library(CLI11::CLI11 INTERFACE IMPORTED)
  target_include_directories(CLI11::CLI11 SYSTEM INTERFACE ${VISCUM_CARRIED}/include)
endif()
