# How libraries, programs and tests of this project are declared. Source paths are relative to the
# calling folder, those of tests to the project's root.
include(GoogleTest)

# Builds with sanitizers, which only run tests, precompile what nearly every file includes. Others do
# not, and so find headers that a file forgot.
function(weft_precompile target)
  if(WEFT_SANITIZE)
    target_precompile_headers(${target} PRIVATE <nlohmann/json.hpp> ${ARGN})
    target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess>)
  endif()
endfunction()

# weft_library(NAME [TORCH] SOURCES ... [PUBLIC ...] [PRIVATE ...]): static library weft_NAME, alias
# weft::NAME. With TORCH it links LibTorch and exists only when WEFT_TORCH is on.
function(weft_library name)
  cmake_parse_arguments(ARG "TORCH" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  if(ARG_TORCH AND NOT WEFT_TORCH)
    return()
  endif()
  add_library(weft_${name} STATIC ${ARG_SOURCES})
  add_library(weft::${name} ALIAS weft_${name})
  target_link_libraries(weft_${name} PUBLIC weft_flags ${ARG_PUBLIC} PRIVATE ${ARG_PRIVATE})
  weft_precompile(weft_${name})
  if(ARG_TORCH)
    target_link_libraries(weft_${name} PUBLIC weft::torch)
  endif()
endfunction()

# weft_program(NAME [TORCH] SOURCES ... LINKS ...): a program in bin/, installed.
function(weft_program name)
  cmake_parse_arguments(ARG "TORCH" "" "SOURCES;LINKS" ${ARGN})
  if(ARG_TORCH AND NOT WEFT_TORCH)
    return()
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE weft_flags ${ARG_LINKS})
  if(ARG_TORCH)
    target_link_libraries(${name} PRIVATE weft::torch)
    set_target_properties(${name} PROPERTIES INSTALL_RPATH ${WEFT_TORCH_DIR}/lib
                                             BUILD_WITH_INSTALL_RPATH ON)
  endif()
  install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endfunction()

# weft_test(ROOM LABEL [TORCH] [THREADED] [TIMEOUT s] SOURCES ... [LINKS ...]): bin/ROOM_LABEL_tests,
# every case a CTest test with that label. LABEL is unit, parity, e2e, hostile, slow or gpu. THREADED
# tests also run under ThreadSanitizer: their label is LABEL-threaded, threaded_tests builds them;
# unit_tests builds those of the label unit.
add_custom_target(threaded_tests)
add_custom_target(unit_tests)
function(weft_test room label)
  cmake_parse_arguments(ARG "TORCH;THREADED" "TIMEOUT" "SOURCES;LINKS" ${ARGN})
  if((ARG_TORCH AND NOT WEFT_TORCH) OR NOT WEFT_TESTS)
    return()
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  set(name ${room}_${label}_tests)
  list(TRANSFORM ARG_SOURCES PREPEND ${CMAKE_SOURCE_DIR}/)
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE weft_flags weft_test_support ${ARG_LINKS})
  weft_precompile(${name} <gtest/gtest.h>)
  set(labels ${label})
  if(label STREQUAL unit)
    add_dependencies(unit_tests ${name})
  endif()
  if(ARG_THREADED)
    string(APPEND labels "-threaded")
    add_dependencies(threaded_tests ${name})
  endif()
  gtest_discover_tests(
    ${name} DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60 TEST_PREFIX "${room}/"
    PROPERTIES LABELS "${labels}" TIMEOUT ${ARG_TIMEOUT})
endfunction()

# weft_slow_python_test(NAME MODULE SKIP): a unittest module of the calling folder over the built
# programs; output that matches SKIP counts as skipped.
function(weft_slow_python_test name module skip)
  add_test(NAME ${name}
           COMMAND ${WEFT_PYTHON} -B -m unittest -v ${module}
           WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES
                       LABELS slow TIMEOUT 600 SKIP_REGULAR_EXPRESSION "${skip}"
                       ENVIRONMENT WEFT_PROGRAM_DIR=${CMAKE_RUNTIME_OUTPUT_DIRECTORY})
endfunction()
