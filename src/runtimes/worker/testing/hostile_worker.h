// SPDX-License-Identifier: Apache-2.0
//
// The worker of the tests: the test program itself, started again. A path "fake:…" is a FakeModel
// behind the real worker's code, "hostile:…" a process that says what no worker should.
#pragma once

namespace omg::testing {

/// main() of `PROGRAM worker …` and `PROGRAM daemon …`; does not return for them. Else it does.
void become_worker(int argc, char** argv);

}  // namespace omg::testing
