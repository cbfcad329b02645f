# The few functions that every folder uses to declare what it builds: one library per folder, one
# test program per folder, benchmarks and fuzzers beside the code they exercise.

find_package(Threads REQUIRED)
find_program(OMG_CCACHE ccache)
if(OMG_CCACHE)
  # The sloppiness is what its manual asks for where headers are precompiled. With a base folder
  # checkouts share what is cached of files that use no precompiled headers.
  set(omg_ccache_settings CCACHE_BASEDIR=${CMAKE_SOURCE_DIR}
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime)
  if(OMG_SANITIZE)
    list(APPEND omg_ccache_settings CCACHE_NOHASHDIR=1)  # folders in debug information
  endif()
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env ${omg_ccache_settings} ${OMG_CCACHE})
endif()

add_library(omg_options INTERFACE)
target_include_directories(omg_options INTERFACE ${PROJECT_SOURCE_DIR}/src)
target_compile_options(omg_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor
                                             -Wno-missing-field-initializers -fno-math-errno
                                             -ffp-contract=off)
# GCC 12 takes "a" + std::string for an overlapping copy (its bug 105651), and forgets that what is
# precompiled was the system's, so that it warns of copies in there.
target_compile_options(omg_options INTERFACE
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict -Wno-stringop-overflow -Wno-stringop-overread
                           -Wno-array-bounds -Wno-maybe-uninitialized>)
target_compile_definitions(omg_options INTERFACE OMG_VERSION="${PROJECT_VERSION}")
target_link_libraries(omg_options INTERFACE Threads::Threads)
# base/build_id.h reads it.
target_link_options(omg_options INTERFACE LINKER:--build-id=sha1)
if(OMG_SANITIZE)
  # Two checks that cost half of compiling the kernels (43 s became 21 for one of their files) and
  # tell what the address sanitizer tells at the access that follows.
  target_compile_options(omg_options INTERFACE -fsanitize=${OMG_SANITIZE} -fno-omit-frame-pointer
                                               -fno-sanitize=null,pointer-overflow
                                               -fno-sanitize-recover=all)
  target_link_options(omg_options INTERFACE -fsanitize=${OMG_SANITIZE})
endif()

# What most files include is parsed once for all libraries and once for all tests (with GoogleTest),
# which saves 40 % of compiling with GCC and a quarter with Clang. Off, a file that does not include
# what it uses does not compile: -DOMG_PRECOMPILED_HEADERS=OFF, before such a file goes elsewhere.
option(OMG_PRECOMPILED_HEADERS "Parse common headers once" ON)
set(OMG_COMMON_HEADERS
  <algorithm> <array> <atomic> <charconv> <chrono> <cmath> <condition_variable> <cstdint> <cstdio>
  <cstdlib> <cstring> <deque> <filesystem> <fstream> <functional> <limits> <map> <memory> <mutex>
  <numeric> <optional> <random> <set> <span> <sstream> <string> <string_view> <thread> <tuple>
  <unordered_map> <unordered_set> <utility> <variant> <vector>
  <boost/json/array.hpp> <boost/json/object.hpp> <boost/json/serialize.hpp>
  <boost/json/value.hpp>)
# The code of tests and commands is large and hardly runs: half of its compilation was optimisation,
# and with sanitizers more. Tests that compute much themselves have the label `computes`. With
# sanitizers the same holds of all libraries that do not compute.
add_library(omg_cold_code INTERFACE)
add_library(omg_library_code INTERFACE)
if(OMG_SANITIZE)
  target_compile_options(omg_cold_code INTERFACE -O0)
  target_compile_options(omg_library_code INTERFACE -O0)
else()
  target_compile_options(omg_cold_code INTERFACE -O1)
endif()
# omg_precompile(NAME HEADERS... LIBRARIES...): a target whose headers others may reuse.
function(omg_precompile name)
  cmake_parse_arguments(ARG "" "" "HEADERS;LIBRARIES" ${ARGN})
  add_library(${name} OBJECT ${PROJECT_SOURCE_DIR}/cmake/precompiled.cc)
  target_link_libraries(${name} PRIVATE omg_options ${ARG_LIBRARIES})
  target_precompile_headers(${name} PRIVATE ${ARG_HEADERS})
endfunction()
if(OMG_PRECOMPILED_HEADERS)
  find_package(Boost 1.74 REQUIRED COMPONENTS json)
  omg_precompile(omg_common_headers HEADERS ${OMG_COMMON_HEADERS}
                 LIBRARIES omg_library_code Boost::json)
  if(OMG_SANITIZE)  # what is precompiled must be optimised as what uses it
    set(OMG_COMPUTING_HEADERS omg_computing_headers)
    omg_precompile(omg_computing_headers HEADERS ${OMG_COMMON_HEADERS} LIBRARIES Boost::json)
  else()
    set(OMG_COMPUTING_HEADERS omg_common_headers)
  endif()
  if(OMG_TESTS)
    find_package(GTest REQUIRED)
    omg_precompile(omg_test_headers
      HEADERS ${OMG_COMMON_HEADERS} <gtest/gtest.h>
      LIBRARIES omg_cold_code Boost::json GTest::gtest)
  endif()
endif()

# omg_library(NAME SOURCES a.cc b.cc DEPENDS omg_base ... PRIVATE lib ...). COMPUTES: optimised even
# with sanitizers. OWN_HEADERS: precompiles other headers than most.
function(omg_library name)
  cmake_parse_arguments(ARG "COMPUTES;OWN_HEADERS" "" "SOURCES;DEPENDS;PRIVATE" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC omg_options ${ARG_DEPENDS} PRIVATE ${ARG_PRIVATE})
  set(headers ${OMG_COMPUTING_HEADERS})
  if(NOT ARG_COMPUTES)
    target_link_libraries(${name} PRIVATE omg_library_code)
    set(headers omg_common_headers)
  endif()
  if(OMG_PRECOMPILED_HEADERS AND NOT ARG_OWN_HEADERS)
    target_precompile_headers(${name} REUSE_FROM ${headers})
  endif()
endfunction()

# Parts of a build, for the presets that need no more: the tests that the thread sanitizer watches,
# and the fuzzers.
add_custom_target(threads_tests)
add_custom_target(fuzzers)

# Where the tests' reference data is: in one file alone (base/testing/reference_dir.h says why).
set(OMG_ROOT ${CMAKE_CURRENT_LIST_DIR}/..)
add_library(omg_reference STATIC EXCLUDE_FROM_ALL ${OMG_ROOT}/src/base/testing/reference_dir.cc)
target_link_libraries(omg_reference PRIVATE omg_options)
target_compile_definitions(omg_reference PRIVATE
  OMG_REFERENCE_DIR="${OMG_ROOT}/../shared/reference")

# omg_test(NAME SOURCES a_test.cc DEPENDS omg_base ... [LABELS per_isa threads]): one program of
# GoogleTest cases, run by CTest as one test. Labels: `threads`: the thread sanitizer runs it too;
# `computes`: compiled as the libraries are; `figures`: long, and about figures rather than memory,
# so the sanitizers leave it out.
function(omg_test name)
  if(NOT OMG_TESTS)
    return()
  endif()
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;DEPENDS;LABELS" ${ARGN})
  find_package(GTest REQUIRED)
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE omg_options ${ARG_DEPENDS} omg_reference GTest::gtest_main)
  if(NOT "computes" IN_LIST ARG_LABELS)
    target_link_libraries(${name} PRIVATE omg_cold_code)
    if(OMG_PRECOMPILED_HEADERS)
      target_precompile_headers(${name} REUSE_FROM omg_test_headers)
    endif()
  endif()
  add_test(NAME ${name} COMMAND ${name})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 1800)
  endif()
  set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT})
  if("threads" IN_LIST ARG_LABELS)
    add_dependencies(threads_tests ${name})
  endif()
endfunction()

# omg_bench(NAME SOURCES a_bench.cc DEPENDS ...): one Google Benchmark program.
function(omg_bench name)
  if(NOT OMG_BENCHMARKS)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
  find_package(benchmark REQUIRED)
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE omg_options ${ARG_DEPENDS} omg_reference
                                        benchmark::benchmark_main)
endfunction()

# omg_fuzzer(NAME SOURCES a_fuzz.cc DEPENDS ...): one libFuzzer program.
function(omg_fuzzer name)
  if(NOT OMG_FUZZERS)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE omg_options omg_cold_code ${ARG_DEPENDS})
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  add_dependencies(fuzzers ${name})
endfunction()
