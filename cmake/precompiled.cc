// SPDX-License-Identifier: Apache-2.0
//
// Holds nothing: a target with precompiled headers needs a source file.
