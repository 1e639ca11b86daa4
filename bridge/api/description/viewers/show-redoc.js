// SPDX-License-Identifier: AGPL-3.0-or-later
Redoc.init('/openapi.json', { hideDownloadButton: false, hideHostname: true }, document.getElementById('docs'));
