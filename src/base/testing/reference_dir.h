// SPDX-License-Identifier: Apache-2.0
//
// Where the reference data of the tests lies: in a file of its own, so that no other file's
// compilation depends on where the project was checked out.
#pragma once

#include <filesystem>

namespace omg {

/// The folder `shared/reference` beside the project; it may be missing.
std::filesystem::path reference_dir();

}  // namespace omg
