# SPDX-License-Identifier: GPL-2.0-only
# Tests of web pages in a browser. The target browser-deps puts there what npm has; a test installs nothing.
include_guard(GLOBAL)
# Beside the programs: of a build below /tmp a test in a sandbox sees nothing else.
set(VISCUM_BROWSER_DIR ${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/browser)
add_custom_target(browser-deps COMMAND ${CMAKE_SOURCE_DIR}/tests/browser/install.sh ${VISCUM_BROWSER_DIR})

# viscum_browser_test(SCRIPT LABEL SENTENCE): a .mjs file of the folder that calls this.
function(viscum_browser_test script label name)
  find_program(VISCUM_NODE node)
  if(VISCUM_NODE)
    add_test(NAME "${label}: ${name}" COMMAND ${VISCUM_NODE} ${CMAKE_CURRENT_SOURCE_DIR}/${script})
  else()
    add_test(NAME "${label}: ${name}" COMMAND ${CMAKE_COMMAND} -E echo "SKIPPED: there is no node")
  endif()
  set_tests_properties("${label}: ${name}" PROPERTIES LABELS ${label} TIMEOUT 300
    ENVIRONMENT "VISCUM_BROWSER_DIR=${VISCUM_BROWSER_DIR};VISCUM_BIN_DIR=${CMAKE_RUNTIME_OUTPUT_DIRECTORY}"
    SKIP_RETURN_CODE 77 SKIP_REGULAR_EXPRESSION SKIPPED:)
endfunction()
