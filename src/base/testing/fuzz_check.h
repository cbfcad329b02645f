// SPDX-License-Identifier: Apache-2.0
//
// What must hold in a fuzzer, whatever its input: where it does not, the line and the condition are
// said and the process ends, so that the fuzzer keeps the input. Not an assertion: those may be
// compiled out.
#pragma once

#include <cstdio>
#include <cstdlib>

#define CHECK_THAT(condition)                                                                 \
  do {                                                                                        \
    if (!(condition)) {                                                                       \
      std::fprintf(stderr, "%s:%d: %s does not hold\n", __FILE_NAME__, __LINE__, #condition); \
      std::abort();                                                                           \
    }                                                                                         \
  } while (false)
