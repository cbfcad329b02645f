// SPDX-License-Identifier: Apache-2.0
//
// What tells this program's machine code from that of every other build.
#pragma once

#include <string>

namespace omg {

/// The note that the linker made of the program's contents (NT_GNU_BUILD_ID), in hex, with the
/// version of the C library that it runs with. Without such a note, the version and when and how
/// large the program's file was made.
std::string build_id();

}  // namespace omg
