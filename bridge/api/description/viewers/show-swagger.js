// SPDX-License-Identifier: AGPL-3.0-or-later
SwaggerUIBundle({ url: '/openapi.json', dom_id: '#docs', deepLinking: true, validatorUrl: null });
