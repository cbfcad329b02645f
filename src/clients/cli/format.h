// SPDX-License-Identifier: Apache-2.0
//
// Numbers as people read them: sizes, counts and durations.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace omg::cli {

/// "1.24B", "494.03M", "262.7K", "999": at most two digits after the point.
std::string format_count(uint64_t count);
/// Powers of 1024: "512 B", "1.0 KiB", "35.8 MiB".
std::string format_bytes(uint64_t bytes);
/// Powers of 1000, as hubs tell the sizes of files: "0.8 GB", "4.7 GB", "42 GB".
std::string format_gigabytes(uint64_t bytes);
/// As Go prints a duration, because scripts that read Ollama's figures read these: "1.234567891s",
/// "12.345678ms", "1m2.5s", "0s".
std::string format_duration(std::chrono::nanoseconds duration);
/// `text` made safe for one line of a terminal: line ends and control characters are escaped, bytes
/// that are no UTF-8 become U+FFFD.
std::string printable(std::string_view text);

}  // namespace omg::cli
