// SPDX-License-Identifier: Apache-2.0
//
// OMG_PROFILE=1: when a command is done with a model, standard error gets a table of where the time
// went.
#pragma once

#include <string>

#include "engine/engine.h"

namespace omg::cli {

/// Whether the variable OMG_PROFILE is 1. Error(kUsage) for anything but 0, 1 and nothing.
bool profile_wanted();

/// Both phases as tables, the operations that take longest first.
std::string profile_text(const Profile& profile, uint32_t threads);

/// Writes the engine's profile to standard error, if it has one. An engine that ran no step has
/// nothing to tell.
void print_profile(const Engine& engine);

}  // namespace omg::cli
