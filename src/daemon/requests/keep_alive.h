// SPDX-License-Identifier: Apache-2.0
//
// How long a model stays loaded, as clients write it.
#pragma once

#include <optional>
#include <string_view>

#include "base/json.h"
#include "daemon/requests/model_call.h"

namespace omg {

/// Go's durations ("1h30m", "300ms", "-1m", "0"; units ns us µs ms s m h), cut to whole
/// milliseconds and to 100 years. Nothing for all else.
std::optional<KeepAlive> parse_duration(std::string_view text);

/// A duration, or a number of seconds, also as text; negative: for ever. Nothing for all else.
std::optional<KeepAlive> keep_alive_of(const json::value& value);

}  // namespace omg
