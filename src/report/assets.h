/* SPDX-License-Identifier: Apache-2.0
 *
 * assets: style sheets and scripts, from the files of these names by embed.py. Internal to report.
 */
#ifndef REPORT_ASSETS_H
#define REPORT_ASSETS_H

extern const char asset_compare_css[];
extern const char asset_flame_css[];
extern const char asset_flame_js[];
extern const char asset_report_css[];

#endif
